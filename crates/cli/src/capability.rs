//! `--connect FILE`: the user's capability, and a warning where others could read it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use program::say;
use schema::{Code, Failure};
use sturdyref::SturdyRef;
use zfs::Escaped;

/// Reads the capability that the command line names.
pub(crate) fn read(connect: Option<PathBuf>) -> Result<SturdyRef, Failure> {
    let path = connect.ok_or_else(|| {
        Failure::new(
            Code::Usage,
            "reach a tracker",
            "",
            "no capability file is given",
            "Name one: cli --connect user.cap ...",
        )
    })?;
    let capability = program::capability::read(&path)?;
    if path != Path::new("-")
        && let Some(mode) = read_by_others(&path)
    {
        let path = path.display().to_string();
        say(format_args!(
            "warning: others on this machine can read {} (mode {mode:04o}), and have the rights that \
             it gives; chmod 600 it, and have the tracker reissue it if you don't trust them",
            Escaped(&path)
        ));
    }
    Ok(capability)
}

/// The mode of a file that is not its owner's alone.
fn read_by_others(path: &Path) -> Option<u32> {
    let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    let mode = metadata.permissions().mode() & 0o777;
    (mode & 0o044 != 0).then_some(mode)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn a_file_that_others_can_read_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("user.cap");
        std::fs::write(&file, "").unwrap();
        for (mode, noticed) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
            std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            assert_eq!(read_by_others(&file), noticed.then_some(mode), "{mode:o}");
        }
        assert_eq!(read_by_others(Path::new("/dev/null")), None);
    }
}
