//! Brings a session of the tracker to the state of the inventory, and keeps it there.

use std::collections::BTreeMap;
use std::rc::Rc;

use schema::batch::{self, Part};
use schema::location_capnp::{PoolState, UpdateKind, session, update_sink};
use schema::wire::{length, write_dataset};
use schema::{Failure, outcome};
use zfs::{Dataset, DatasetPath, PoolName};

use crate::inventory::{Content, Inventory, difference};

/// What the tracker was told of a pool in this session.
#[derive(Default)]
struct Told {
    online: Option<bool>,
    content: Option<Content>,
}

/// Sends everything once, then each change. Returns why that can't go on.
pub(crate) async fn bring_up_to_date(
    inventory: &Inventory,
    session: &session::Client,
) -> anyhow::Error {
    let mut changes = inventory.changes();
    let mut told: BTreeMap<PoolName, Told> = BTreeMap::new();
    loop {
        changes.borrow_and_update();
        for pool in inventory.names() {
            let told = told.entry(pool.clone()).or_default();
            if let Err(error) = send_news(inventory, session, &pool, told).await {
                return error;
            }
        }
        if changes.changed().await.is_err() {
            return anyhow::anyhow!("the pools are not followed any more");
        }
    }
}

async fn send_news(
    inventory: &Inventory,
    session: &session::Client,
    pool: &PoolName,
    told: &mut Told,
) -> anyhow::Result<()> {
    let Some(state) = inventory.state(pool) else { return Ok(()) };
    // What it held when it was last seen stays at the tracker, as it does here.
    if let (true, Some(content)) = (state.online, state.content) {
        let (kind, changed, removed) = match &told.content {
            None => (UpdateKind::Replace, content.values().cloned().collect(), Vec::new()),
            Some(old) => {
                let (changed, removed) = difference(old, &content);
                (UpdateKind::Change, changed, removed)
            }
        };
        if kind == UpdateKind::Replace || !changed.is_empty() || !removed.is_empty() {
            update(session, pool, kind, &changed, &removed).await?;
        }
        told.content = Some(content);
    }
    if told.online != Some(state.online) {
        let mut request = session.pool_state_request();
        request.get().set_pool(pool.as_str());
        request.get().set_state(if state.online {
            PoolState::Online
        } else {
            PoolState::Unavailable
        });
        request.send().promise.await?;
        told.online = Some(state.online);
    }
    Ok(())
}

/// One update, whole or not at all.
async fn update(
    session: &session::Client,
    pool: &PoolName,
    kind: UpdateKind,
    changed: &[Rc<Dataset>],
    removed: &[DatasetPath],
) -> anyhow::Result<()> {
    let mut request = session.update_request();
    request.get().set_pool(pool.as_str());
    request.get().set_kind(kind);
    let answer = request.send().promise.await?;
    let sink = outcome::read(answer.get()?.get_outcome()?)??.get_sink()?;
    send_changed(&sink, changed).await?;
    for names in batch::messages(removed, |path| path.as_str().len() + 16) {
        let mut request = sink.write_request();
        let mut list = request.get().init_removed(length(&names));
        for (index, name) in (0..).zip(names) {
            list.set(index, name.as_str());
        }
        request.send().await?;
    }
    let ended = sink.end_request().send().promise.await?;
    let taken: Result<_, Failure> = outcome::read(ended.get()?.get_outcome()?)?;
    taken?;
    Ok(())
}

async fn send_changed(sink: &update_sink::Client, changed: &[Rc<Dataset>]) -> capnp::Result<()> {
    let parts = changed.iter().filter_map(|dataset| {
        let path = dataset.name.path()?;
        let parts = batch::parts(&dataset.snapshots, &dataset.bookmarks);
        Some(parts.into_iter().map(move |part| (path, dataset, part)))
    });
    let size = |(_, dataset, part): &(_, &Rc<Dataset>, Part<'_>)| {
        batch::entry_size(&dataset.properties, part)
    };
    for entries in batch::messages(parts.flatten(), size) {
        let mut request = sink.write_request();
        let mut list = request.get().init_datasets(length(&entries));
        for (index, (path, dataset, part)) in (0..).zip(entries) {
            write_dataset(list.reborrow().get(index), path, &dataset.properties, part);
        }
        request.send().await?;
    }
    Ok(())
}
