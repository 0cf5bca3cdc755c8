//! What a name may be, and what ZFS says of one that may not. Works on text alone.

/// The longest name, in bytes, is one less.
const MAX_NAME: usize = 256;

/// What kinds of name a command takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kinds {
    pub(crate) dataset: bool,
    pub(crate) snapshot: bool,
    pub(crate) bookmark: bool,
}

impl Kinds {
    /// Filesystems and volumes.
    pub(crate) const DATASET: Self = Self { dataset: true, snapshot: false, bookmark: false };
    /// Filesystems, volumes and snapshots.
    pub(crate) const SNAPSHOT: Self = Self { dataset: true, snapshot: true, bookmark: false };
    /// Whatever has a name.
    pub(crate) const ANY: Self = Self { dataset: true, snapshot: true, bookmark: true };
}

/// Says what is wrong with a name for something new, if anything is: `%` is ZFS's own there.
pub(crate) fn new_complaint(name: &str, kinds: Kinds) -> Option<String> {
    let internal = || name.contains('%').then(|| "invalid character % in name".to_owned());
    complaint(name, kinds).or_else(internal)
}

/// Says what is wrong with a name, in the words of libzfs, if anything is.
pub(crate) fn complaint(name: &str, kinds: Kinds) -> Option<String> {
    let words = match () {
        () if name.len() >= MAX_NAME => "name is too long",
        () if name.starts_with('/') => "leading slash in name",
        () if name.ends_with('/') => "trailing slash in name",
        () => match components(name) {
            Err(words) => return Some(words),
            Ok(()) if name.contains('@') && !kinds.snapshot => {
                "snapshot delimiter '@' is not expected here"
            }
            Ok(()) if name.contains('#') && !kinds.bookmark => {
                "bookmark delimiter '#' is not expected here"
            }
            Ok(()) => return None,
        },
    };
    Some(words.to_owned())
}

fn components(name: &str) -> Result<(), String> {
    let mut delimited = false;
    let mut rest = name;
    loop {
        let end = rest.find(['/', '@', '#']);
        let component = &rest[..end.unwrap_or(rest.len())];
        if let Some(bad) =
            component.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_.: %".contains(*c)))
        {
            return Err(format!("invalid character '{bad}' in name"));
        }
        match component {
            "" => {
                return Err("empty component or misplaced '@' or '#' delimiter in name".to_owned());
            }
            "." => return Err("self reference, '.' is found in name".to_owned()),
            ".." => return Err("parent reference, '..' is found in name".to_owned()),
            _ => {}
        }
        let Some(end) = end else { return Ok(()) };
        if rest[end..].starts_with('/') {
            if delimited {
                return Err("trailing slash in name".to_owned());
            }
        } else {
            if delimited {
                return Err("multiple '@' and/or '#' delimiters in name".to_owned());
            }
            delimited = true;
        }
        rest = &rest[end + 1..];
    }
}

/// What is wrong with the name of a pool to be made, if anything is.
pub(crate) fn pool_complaint(name: &str) -> Option<String> {
    const HINT: &str = "\npool name may have been omitted";
    if let Some(bad) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_.: ".contains(*c))) {
        let hint = if bad == '/' { "\nuse 'zfs create' to create a dataset" } else { HINT };
        return Some(format!("invalid character '{bad}' in pool name{hint}"));
    }
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Some(format!("name must begin with a letter{HINT}"));
    }
    let words = ["mirror", "raidz", "draid", "spare"];
    let reserved = name == "log" || words.iter().any(|word| name.starts_with(word));
    reserved.then(|| format!("name is reserved{HINT}"))
}

/// The pool that a name begins with.
pub(crate) fn pool(name: &str) -> &str {
    name.split(['/', '@', '#']).next().unwrap_or(name)
}

/// The dataset that a snapshot or bookmark belongs to; a dataset's own name.
pub(crate) fn dataset(name: &str) -> &str {
    name.split(['@', '#']).next().unwrap_or(name)
}

/// The dataset above; none above a pool's root.
pub(crate) fn parent(dataset: &str) -> Option<&str> {
    dataset.rsplit_once('/').map(|(parent, _)| parent)
}
