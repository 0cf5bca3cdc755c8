//! The running tracker: the catalogue, its store, the connected machines, and who may still come in.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::{Rc, Weak};

use catalogue::{Catalogue, Change, Epoch, LookupError, MachineId, Role, Store, WriteError};
use schema::{Failure, Place, Replica};
use sturdyref::{IdDigest, capfile};
use tokio_util::sync::CancellationToken;

use crate::chores::Chores;
use crate::clock::now;
use crate::failures;
use crate::issuer::{Grant, Issuer};
use crate::last_start::LastStart;
use crate::line::Line;
use crate::relays::Relays;
use crate::serve::Held;

/// A transfer's destination, and its id there.
pub(crate) type TransferKey = (MachineId, String);

/// Shared by all that is served.
pub(crate) struct Tracker {
    pub(crate) catalogue: RefCell<Catalogue>,
    store: Store,
    pub(crate) issuer: Issuer,
    /// Every capability ever issued.
    issued: RefCell<HashMap<IdDigest, Grant>>,
    lines: RefCell<HashMap<Epoch, Rc<Line>>>,
    pub(crate) relays: Relays,
    /// Transfers that somebody watches, so that who attaches shares them: one hold on each, and
    /// those by connections that the machine has lost since.
    pub(crate) transfers: RefCell<HashMap<TransferKey, Vec<Weak<Held>>>>,
    pub(crate) chores: Chores,
    /// Cancelled when the tracker is to end.
    pub(crate) closing: CancellationToken,
    failed: Cell<Option<WriteError>>,
    state: PathBuf,
}

impl Tracker {
    pub(crate) fn new(
        (store, catalogue): (Store, Catalogue),
        issuer: Issuer,
        chores: Chores,
        closing: CancellationToken,
        state: PathBuf,
    ) -> Self {
        let issued = RefCell::new(issuer.index(&catalogue));
        Self {
            catalogue: RefCell::new(catalogue),
            store,
            issuer,
            issued,
            lines: RefCell::default(),
            relays: Relays::default(),
            transfers: RefCell::default(),
            chores,
            closing,
            failed: Cell::new(None),
            state,
        }
    }

    /// Makes changes durable. Should that fail the tracker ends, since it would forget them.
    pub(crate) async fn save(&self, changes: Vec<Change>) -> Result<(), NotSaved> {
        self.store.write(changes).await.map_err(|error| {
            self.failed.set(Some(error));
            self.closing.cancel();
            NotSaved
        })
    }

    /// Why the tracker had to end, if it had to.
    pub(crate) fn take_failure(&self) -> Option<WriteError> {
        self.failed.take()
    }

    /// What the holder of an id was granted, if it was issued as a capability file.
    pub(crate) fn grant_of(&self, id: &IdDigest) -> Option<Grant> {
        self.issued.borrow().get(id).cloned()
    }

    /// Refuses the holder of a capability that was voided since.
    pub(crate) fn check(&self, grant: &Grant) -> Result<(), Failure> {
        let role = &grant.role;
        if let Role::Location(location) = role
            && !self.issuer.locations.contains(location)
        {
            let why = format!("the location '{location}' was taken away from this tracker");
            let remedy = format!(
                "Use another location's file, or add {location} to the tracker's --locations."
            );
            return Err(failures::void(role, &why, remedy));
        }
        if self.catalogue.borrow().generation(role) != Some(grant.generation) {
            let why = "it was replaced by `tracker reissue`";
            let remedy = format!("Get the new {role}.cap from the tracker's machine.");
            return Err(failures::void(role, why, remedy));
        }
        Ok(())
    }

    /// Adds a machine's line, and begins to listen for its silence.
    pub(crate) fn connected(self: &Rc<Self>, line: Rc<Line>) {
        self.lines.borrow_mut().insert(line.epoch, line.clone());
        let tracker = Rc::clone(self);
        self.chores.begin(async move {
            tokio::select! {
                () = line.silence() => tracker.end(&line, "no heartbeat came"),
                () = line.over.cancelled() => {}
            }
        });
    }

    /// Ends a machine's session; it is offline from now on. Nothing happens if it is over.
    pub(crate) fn end(self: &Rc<Self>, line: &Line, why: &str) {
        if self.drop_line(line.epoch).is_none() {
            return;
        }
        let silence = i64::try_from(line.silent_for().as_secs()).unwrap_or(0);
        let changes = self.catalogue.borrow_mut().disconnect(line.epoch, now() - silence);
        tracing::info!(machine = %line.machine, why, "offline");
        let tracker = Rc::clone(self);
        let written = self.store.write(changes);
        self.chores.begin(async move {
            if let Err(error) = written.await {
                tracker.failed.set(Some(error));
                tracker.closing.cancel();
            }
        });
    }

    /// Takes away a line whose session the catalogue has ended already, and hangs up.
    pub(crate) fn drop_line(&self, epoch: Epoch) -> Option<Rc<Line>> {
        let line = self.take_line(epoch)?;
        line.peer.hang_up();
        Some(line)
    }

    /// The same, with something left to be said.
    pub(crate) fn take_line(&self, epoch: Epoch) -> Option<Rc<Line>> {
        let line = self.lines.borrow_mut().remove(&epoch)?;
        line.over.cancel();
        line.updates.void();
        Some(line)
    }

    /// The line to the machine that answers for a place.
    pub(crate) fn line_to(&self, operation: &str, place: &Place) -> Result<Rc<Line>, Failure> {
        let epoch = self.catalogue.borrow().find_online(place);
        let offline = |machine| LookupError::MachineOffline { machine, last_seen: now() };
        epoch
            .and_then(|epoch| {
                let line = self.lines.borrow().get(&epoch).cloned();
                line.ok_or_else(|| offline(place.machine.clone()))
            })
            .map_err(|error| failures::lookup(operation, place, &error))
    }

    /// The line to a machine, if it is connected.
    pub(crate) fn line_of(&self, machine: &MachineId) -> Option<Rc<Line>> {
        self.lines.borrow().values().find(|line| line.machine == *machine).cloned()
    }

    /// Fills in how many streams the replicas' machines send.
    pub(crate) fn tell_sending(&self, replicas: &mut [Replica]) {
        let lines = self.lines.borrow();
        let machine = |line: &Rc<Line>| (line.machine.clone(), line.sending.get());
        let sending: HashMap<MachineId, u32> = lines.values().map(machine).collect();
        for replica in replicas.iter_mut().filter(|replica| replica.online) {
            let machine = MachineId::of(&replica.place);
            replica.sending = sending.get(&machine).copied().unwrap_or_default();
        }
    }

    /// Voids a role's capability, and writes the file of the next.
    pub(crate) async fn reissue(self: &Rc<Self>, role: &Role) -> Result<PathBuf, Failure> {
        self.issuer.check_reissue(role)?;
        let changes = self.catalogue.borrow_mut().issue(role);
        *self.issued.borrow_mut() = self.issuer.index(&self.catalogue.borrow());
        let saved = self.save(changes).await;
        saved.map_err(|NotSaved| failures::not_saved("reissue", role))?;
        let generation = self.catalogue.borrow().generation(role).unwrap_or_default();
        tracing::info!(%role, generation, "reissued");
        if let Role::Location(location) = role {
            let of_location = |line: &&Rc<Line>| line.machine.location == *location;
            let lines: Vec<_> = self.lines.borrow().values().filter(of_location).cloned().collect();
            lines.iter().for_each(|line| self.end(line, "its capability was reissued"));
        }
        let note = || -> anyhow::Result<()> {
            if *role == Role::Admin {
                let note = LastStart::read(&self.state)?;
                LastStart { admin_generation: generation, ..note }.write(&self.state)?;
            }
            Ok(())
        };
        note().map_err(|error| failures::reissued_unwritten(role, format!("{error:#}")))?;
        self.issuer
            .write(&Grant { role: role.clone(), generation })
            .map_err(|error: capfile::WriteError| failures::reissued_unwritten(role, error))
    }

    /// Ends every session, and waits until all is on disk.
    pub(crate) async fn end_all(self: &Rc<Self>) {
        let lines: Vec<_> = self.lines.borrow().values().cloned().collect();
        let mut changes = Vec::new();
        for line in lines {
            self.drop_line(line.epoch);
            changes.extend(self.catalogue.borrow_mut().disconnect(line.epoch, now()));
        }
        // A failure is told by `take_failure`.
        let _ = self.save(changes).await;
    }
}

/// A change could not be made durable; the tracker is about to end.
#[derive(Debug)]
pub(crate) struct NotSaved;
