//! Lists cut into messages of bounded size.
//!
//! No list crosses the network whole: it goes through a sink, in messages of at most 1 MiB.

use zfs::{Properties, Snapshot};

/// Entries are gathered until their estimated size passes this many bytes.
const MESSAGE_BYTES: usize = 256 << 10;
/// At most so many snapshots in one entry; with names of the full 255 bytes they take 300 KiB.
const SNAPSHOTS_PER_PART: usize = 1000;

/// A stretch of a dataset's snapshots and bookmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Whether this goes on with a dataset that an earlier part began.
    pub continues: bool,
    /// Some of its snapshots.
    pub snapshots: &'a [Snapshot],
    /// Some of its bookmarks.
    pub bookmarks: &'a [Snapshot],
}

impl Part<'_> {
    /// About how many bytes it takes in a message.
    pub fn size(&self) -> usize {
        let entries = self.snapshots.iter().chain(self.bookmarks);
        512 + entries.map(|entry| 48 + entry.label.as_str().len()).sum::<usize>()
    }
}

/// About how many bytes a dataset's entry takes in a message.
pub fn entry_size(properties: &Properties, part: &Part<'_>) -> usize {
    let texts = [&properties.origin, &properties.resume_token]
        .map(|text| text.as_ref().map_or(0, String::len));
    part.size() + texts.iter().sum::<usize>()
}

/// Cuts a dataset's snapshots and bookmarks into parts; at least one, which may be empty.
pub fn parts<'a>(snapshots: &'a [Snapshot], bookmarks: &'a [Snapshot]) -> Vec<Part<'a>> {
    let mut parts: Vec<Part<'a>> = snapshots
        .chunks(SNAPSHOTS_PER_PART)
        .map(|snapshots| Part { continues: true, snapshots, bookmarks: &[] })
        .chain(bookmarks.chunks(SNAPSHOTS_PER_PART).map(|bookmarks| Part {
            continues: true,
            snapshots: &[],
            bookmarks,
        }))
        .collect();
    match parts.first_mut() {
        Some(first) => first.continues = false,
        None => parts.push(Part { continues: false, snapshots: &[], bookmarks: &[] }),
    }
    parts
}

/// Groups entries, whose size in bytes `size` estimates, into messages.
pub fn messages<T>(
    entries: impl IntoIterator<Item = T>,
    size: impl Fn(&T) -> usize,
) -> impl Iterator<Item = Vec<T>> {
    let mut entries = entries.into_iter().peekable();
    std::iter::from_fn(move || {
        entries.peek()?;
        let mut message = Vec::new();
        let mut bytes = 0;
        while bytes < MESSAGE_BYTES {
            let Some(entry) = entries.next() else { break };
            bytes += size(&entry);
            message.push(entry);
        }
        Some(message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use zfs::Guid;

    fn snapshots(count: u64) -> Vec<Snapshot> {
        let snapshot = |n: u64| Snapshot {
            label: "s".repeat(255).parse().unwrap(),
            guid: Guid(n),
            createtxg: n,
            creation: 0,
        };
        (0..count).map(snapshot).collect()
    }

    #[test]
    fn parts_hold_everything_once_and_only_the_first_begins() {
        let (snapshots, bookmarks) = (snapshots(2500), snapshots(1));
        let parts = parts(&snapshots, &bookmarks);
        assert_eq!(
            parts.iter().map(|p| p.continues).collect::<Vec<_>>(),
            [false, true, true, true]
        );
        let all: Vec<_> = parts.iter().flat_map(|p| p.snapshots).cloned().collect();
        assert_eq!(all, snapshots);
        assert_eq!(parts.iter().map(|p| p.bookmarks.len()).sum::<usize>(), 1);
    }

    #[test]
    fn a_dataset_without_snapshots_is_one_part() {
        assert_eq!(parts(&[], &[]), [Part { continues: false, snapshots: &[], bookmarks: &[] }]);
    }

    #[test]
    fn messages_are_bounded_and_lose_nothing() {
        let snapshots = snapshots(20_000);
        let mut seen = 0;
        for message in messages(parts(&snapshots, &[]), Part::size) {
            let bytes: usize = message.iter().map(Part::size).sum();
            assert!(bytes < 1 << 20, "{bytes}");
            seen += message.iter().map(|part| part.snapshots.len()).sum::<usize>();
        }
        assert_eq!(seen, 20_000);
        assert_eq!(messages(Vec::<u8>::new(), |_| 1).count(), 0);
    }
}
