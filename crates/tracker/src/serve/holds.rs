//! What all machines keep from being destroyed, for transfers that may come back.

use std::cell::RefCell;
use std::rc::Rc;

use capnp::Error;
use catalogue::MachineId;
use futures::future::join_all;
use schema::hold_capnp::hold_sink;
use schema::{Failure, Hold, Place, batch, outcome, wire};

use crate::line::Line;
use crate::tracker::Tracker;

/// No machine may tell of more holds than this, some hundred bytes each.
const MOST: usize = 100_000;

/// Asks every machine at once. Gives all holds, by place and snapshot, and the machines that are
/// offline or did not answer.
pub(crate) async fn gather(tracker: &Tracker) -> (Vec<Hold>, Vec<MachineId>) {
    let machines: Vec<MachineId> = tracker.catalogue.borrow().machines().cloned().collect();
    let asking = machines.into_iter().map(|machine| async {
        let told = match tracker.line_of(&machine) {
            Some(line) => ask(&line).await,
            None => None,
        };
        told.ok_or(machine)
    });
    let (mut holds, mut unasked) = (Vec::new(), Vec::new());
    for told in join_all(asking).await {
        match told {
            Ok(told) => holds.extend(told),
            Err(machine) => unasked.push(machine),
        }
    }
    holds.sort_by(|a, b| (&a.place, &a.snapshot, &a.tag).cmp(&(&b.place, &b.snapshot, &b.tag)));
    (holds, unasked)
}

/// What one machine holds, if it says so in time.
async fn ask(line: &Line) -> Option<Vec<Hold>> {
    const OPERATION: &str = "list the holds of";
    let holds = Rc::default();
    let mut request = line.agent.holds_request();
    let collector = Collector { machine: line.machine.clone(), holds: Rc::clone(&holds) };
    request.get().set_sink(capnp_rpc::new_client(collector));
    let told = async {
        let answer = line.ask_soon(OPERATION, &line.machine, request.send().promise).await?;
        let told = answer.get().and_then(|answer| outcome::read(answer.get_outcome()?));
        told.map_err(|error| Failure::from_exception(OPERATION, &line.machine, &error))?.map(drop)
    };
    match told.await {
        Ok(()) => Some(holds.take()),
        Err(failure) => {
            tracing::warn!(machine = %line.machine, %failure);
            None
        }
    }
}

/// Sends holds, in messages of bounded size.
pub(crate) async fn send(sink: &hold_sink::Client, holds: &[Hold]) -> Result<(), Error> {
    let size = |hold: &&Hold| 512 + hold.tag.len() + hold.destination.len();
    for message in batch::messages(holds, size) {
        let mut request = sink.write_request();
        let mut list = request.get().init_holds(wire::length(&message));
        for (index, hold) in (0..).zip(message) {
            hold.write(list.reborrow().get(index));
        }
        request.send().await?;
    }
    Ok(())
}

/// Gathers what one machine tells.
struct Collector {
    machine: MachineId,
    holds: Rc<RefCell<Vec<Hold>>>,
}

impl hold_sink::Server for Collector {
    async fn write(self: Rc<Self>, params: hold_sink::WriteParams) -> Result<(), Error> {
        let told = params.get()?.get_holds()?;
        let mut holds = self.holds.borrow_mut();
        for hold in told {
            let hold = Hold::read(hold)?;
            if holds.len() == MOST {
                return Err(Error::failed(format!("more than {MOST} holds")));
            }
            // An agent doesn't say where it is: that is known better here.
            let place = Place {
                location: self.machine.location.clone(),
                machine: self.machine.machine.clone(),
                pool: hold.snapshot.dataset().pool().clone(),
            };
            holds.push(Hold { place: Some(place), ..hold });
        }
        Ok(())
    }
}
