//! Which names share data: copies of a dataset share the GUIDs of its snapshots, whatever they are
//! called.

use std::collections::BTreeMap;
use std::sync::Arc;

use zfs::{DatasetPath, Guid};

use crate::change::Content;

/// For each GUID of a snapshot or bookmark the names of the datasets that have it, each with how
/// often it is told under that name.
///
/// One flat map, since most GUIDs have one name, and a map or list for each would be mostly empty.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Lineage(BTreeMap<(Guid, Option<Arc<DatasetPath>>), u32>);

impl Lineage {
    pub(crate) fn add(&mut self, name: &Arc<DatasetPath>, content: &Content) {
        for guid in content.guids() {
            *self.0.entry((guid, Some(Arc::clone(name)))).or_default() += 1;
        }
    }

    pub(crate) fn remove(&mut self, name: &Arc<DatasetPath>, content: &Content) {
        for guid in content.guids() {
            let key = (guid, Some(Arc::clone(name)));
            if let Some(count) = self.0.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.0.remove(&key);
                }
            }
        }
    }

    /// The names of the datasets that have a GUID, sorted.
    pub(crate) fn names(&self, guid: Guid) -> impl Iterator<Item = &Arc<DatasetPath>> {
        // `None` is before all names, and never in the map.
        let from = self.0.range((guid, None)..);
        from.take_while(move |((at, _), _)| *at == guid).filter_map(|((_, name), _)| name.as_ref())
    }
}
