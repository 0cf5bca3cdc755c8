//! `--connect FILE`: the capability that a program is given.

use std::path::Path;

use schema::{Code, Failure};
use sturdyref::{SturdyRef, capfile};

/// Reads the capability from a file, or from standard input for `-`.
///
/// A capability itself is refused: as an argument, every user of the machine sees it in `ps`.
pub fn read(path: &Path) -> Result<SturdyRef, Failure> {
    if path.to_str().is_some_and(|text| text.starts_with("capnp:")) {
        return Err(Failure::new(
            Code::Usage,
            "use the argument of --connect",
            "",
            "it is a capability itself, and `ps` shows it to every user of this machine",
            "Put it into a file that only you can read and name that, or give - and pipe it in. \
             If others use this machine, have the tracker reissue it.",
        ));
    }
    let read = if path == Path::new("-") {
        capfile::read_from(std::io::stdin().lock(), "standard input")
    } else {
        capfile::read(path)
    };
    read.map_err(|error| {
        Failure::new(
            Code::Failed,
            "use what --connect names",
            "",
            schema::text::chain(&error),
            "Name the .cap file that the tracker made; if it was damaged, copy it again from there.",
        )
    })
}
