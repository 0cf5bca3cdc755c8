//! The transcripts, a test each.

use super::transcript::play;

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            play(include_str!(concat!("transcripts/", stringify!($name), ".txt")));
        })*
    };
}

transcripts! {
    bookmarks
    broken_streams
    columns
    create
    destroy
    get
    holds
    holds_of_several
    increment_properties
    increments
    list
    mount
    names
    pool_properties
    pools
    receive
    receive_volume
    rename
    resume_elsewhere
    resume_full
    resume_increment
    rollback
    send
    send_increments
    set
    snapshot
    space
    usage
    written
}
