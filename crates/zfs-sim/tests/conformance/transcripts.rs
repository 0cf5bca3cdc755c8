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
    broken_streams
    columns
    create
    destroy
    get
    holds
    list
    mount
    names
    pools
    receive
    receive_volume
    rename
    send
    set
    snapshot
    usage
}
