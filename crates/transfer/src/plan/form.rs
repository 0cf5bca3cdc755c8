//! How the streams of a lineage are made, which must never change within it.
//!
//! Raw and plain streams can't follow each other, and a stream that splits large blocks must not
//! follow one that doesn't: ZFS refuses some of that, and damages data in silence in other cases.
//! So the first receive writes the form down, as the property `zatlas:stream` of what it makes.

use std::fmt;
use std::str::FromStr;

use super::destination::{Destination, Partial, Present};
use super::steps::Options;

/// What may not change from one stream of a lineage to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Encrypted blocks as they are on disk (`-w`).
    pub raw: bool,
    /// Blocks above 128 KiB are not split (`-L`).
    pub large_blocks: bool,
}

/// The form of the next streams to a destination; `large_blocks_allowed` holds for a first one.
///
/// A first receive is raw where the source is encrypted, unless it is to be decrypted. After that
/// the form stays: as the interrupted stream's token says, as it was written down, else a guess of
/// which ZFS refuses a wrong one: raw where both sides are encrypted, large blocks split.
pub fn form(
    source_encrypted: bool,
    destination: &Destination,
    options: Options,
    large_blocks_allowed: bool,
) -> Form {
    match destination {
        Destination::Present(present) if !is_begun_anew(present, options) => {
            let token = present.partial.as_ref().and_then(|it| it.resumable(options.restart));
            match (present.form, token) {
                (Some(form), None) => form,
                (form, Some(token)) => Form {
                    raw: token.raw,
                    large_blocks: form.map_or(token.large_blocks, |form| form.large_blocks),
                },
                (None, None) => {
                    Form { raw: source_encrypted && present.encrypted, large_blocks: false }
                }
            }
        }
        _ => Form { raw: source_encrypted && !options.decrypt, large_blocks: large_blocks_allowed },
    }
}

/// Whether what is there is only the remains of a first receive that nothing goes on with.
fn is_begun_anew(present: &Present, options: Options) -> bool {
    let lost = |partial: &Partial| partial.first && partial.resumable(options.restart).is_none();
    present.partial.as_ref().is_some_and(lost)
}

/// A text that is no form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a form of streams: raw or plain, with or without large-blocks")]
pub struct FormError;

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.raw { "raw" } else { "plain" })?;
        f.write_str(if self.large_blocks { ",large-blocks" } else { "" })
    }
}

impl FromStr for Form {
    type Err = FormError;

    fn from_str(text: &str) -> Result<Self, FormError> {
        let (large_blocks, kind) = match text.split_once(',') {
            Some((kind, "large-blocks")) => (true, kind),
            Some(_) => return Err(FormError),
            None => (false, text),
        };
        match kind {
            "raw" => Ok(Self { raw: true, large_blocks }),
            "plain" => Ok(Self { raw: false, large_blocks }),
            _ => Err(FormError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::examples::token;

    #[test]
    fn the_form_is_chosen_at_first_and_stays() {
        let known = Form { raw: false, large_blocks: true };
        let (plain, large) = (token(1, None), {
            let mut token = token(1, None);
            (token.raw, token.large_blocks) = (true, true);
            token
        });
        let absent = || Destination::Absent { missing_parents: Vec::new() };
        let present = |form, encrypted, partial| {
            Destination::Present(Box::new(Present {
                kind: zfs::Kind::Filesystem,
                encrypted,
                ours: true,
                form,
                snapshots: Vec::new(),
                written: 0,
                mounted_writable: false,
                partial,
            }))
        };
        let partial = |first, token| Some(Partial { first, token });
        let keep = Options::default();
        let decrypt = Options { decrypt: true, ..keep };
        let restart = Options { restart: true, ..keep };
        for (source_encrypted, destination, options, allowed, expected) in [
            (false, absent(), keep, true, "plain,large-blocks"),
            (false, absent(), keep, false, "plain"),
            (true, absent(), keep, true, "raw,large-blocks"),
            (true, absent(), decrypt, true, "plain,large-blocks"),
            (true, present(None, false, partial(true, None)), keep, true, "raw,large-blocks"),
            (true, present(Some(known), true, None), keep, false, "plain,large-blocks"),
            (true, present(None, true, None), keep, true, "raw"),
            (true, present(None, true, None), decrypt, true, "raw"),
            (true, present(None, false, None), decrypt, true, "plain"),
            (false, present(None, true, None), keep, true, "plain"),
            (
                false,
                present(None, false, partial(true, Some(Ok(plain.clone())))),
                keep,
                true,
                "plain",
            ),
            (
                true,
                present(None, false, partial(true, Some(Ok(large.clone())))),
                decrypt,
                false,
                "raw,large-blocks",
            ),
            (
                false,
                present(Some(known), false, partial(false, Some(Ok(plain)))),
                keep,
                true,
                "plain,large-blocks",
            ),
            (
                false,
                present(None, true, partial(true, Some(Ok(large.clone())))),
                restart,
                true,
                "plain,large-blocks",
            ),
            (false, present(None, true, partial(false, Some(Ok(large)))), restart, true, "plain"),
        ] {
            let form = form(source_encrypted, &destination, options, allowed);
            assert_eq!(
                form.to_string(),
                expected,
                "{source_encrypted} {destination:?} {options:?}"
            );
        }
    }

    #[test]
    fn a_form_is_what_it_was_written_as() {
        for (text, raw, large_blocks) in [
            ("plain", false, false),
            ("raw", true, false),
            ("plain,large-blocks", false, true),
            ("raw,large-blocks", true, true),
        ] {
            let form = Form { raw, large_blocks };
            assert_eq!(form.to_string(), text);
            assert_eq!(text.parse(), Ok(form));
        }
        for text in ["", "raw,", "large-blocks", "raw,large-blocks,x", "Raw"] {
            assert_eq!(text.parse::<Form>(), Err(FormError), "{text}");
        }
    }
}
