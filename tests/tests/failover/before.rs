//! All machines before a transfer, to show that nothing but what was to come has changed.

use tests::Properties;

use crate::scene::{Scene, TARGET};

/// What a source that can't be reached keeps of a transfer: its hold, until it is back.
const OF_A_HOLD: [&str; 2] = ["holds", "userrefs"];

pub(crate) struct Before {
    sources: Vec<Properties>,
    receiver: Properties,
}

impl Before {
    pub(crate) fn of(scene: &Scene) -> Self {
        let sources = scene.sources.iter().map(|source| source.machine.properties());
        Self { sources: sources.collect(), receiver: scene.receiver.properties() }
    }

    /// The receiver has the snapshot now, one of the sources a bookmark of it, and no source that
    /// can be reached holds anything.
    #[track_caller]
    pub(crate) fn assert_only_arrived(&self, scene: &Scene, label: &str) {
        let after = scene.receiver.properties();
        let snapshot = format!("{TARGET}@{label}");
        let arrived: Vec<&str> = new(&after, &self.receiver);
        assert!(arrived.iter().all(|name| [TARGET, &snapshot].contains(name)), "{arrived:?}");
        for (name, property) in after.changed_since(&self.receiver) {
            // What is set on a dataset holds for its snapshots, too.
            let dataset = name.split('@').next();
            assert!(
                dataset == Some(TARGET) && property.starts_with("zatlas:"),
                "{name}: {property}"
            );
        }
        let mut bookmarks = 0;
        for (source, before) in scene.sources.iter().zip(&self.sources) {
            let after = source.machine.properties();
            let bookmark = source.machine.bookmark_of(&source.snapshot(label));
            let came = new(&after, before);
            assert!(came.iter().all(|name| **name == bookmark), "{came:?}");
            assert!(new(before, &after).is_empty(), "{:?} is gone", new(before, &after));
            let mut changed = after.changed_since(before);
            changed.retain(|(_, property)| source.is_up() || !OF_A_HOLD.contains(property));
            assert!(changed.is_empty(), "{} has changed: {changed:?}", source.place());
            bookmarks += usize::from(after.names().contains(&bookmark.as_str()));
        }
        assert_eq!(bookmarks, 1, "bookmarks at the sources");
    }
}

/// What is there only now.
fn new<'a>(after: &'a Properties, before: &Properties) -> Vec<&'a str> {
    let mut names = after.names();
    names.retain(|name| !before.names().contains(name));
    names
}
