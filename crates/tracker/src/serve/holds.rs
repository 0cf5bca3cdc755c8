//! What all machines keep from being destroyed, for transfers that may come back.

use std::cell::RefCell;
use std::rc::Rc;

use capnp::Error;
use catalogue::MachineId;
use futures::future::join_all;
use schema::hold::Unasked;
use schema::hold_capnp::hold_sink;
use schema::{Failure, Hold, Place, outcome};

use crate::line::Line;
use crate::tracker::Tracker;

/// No machine may tell of more holds than this, some hundred bytes each.
const MOST: usize = 100_000;

/// What a machine may say of why it could not list its holds: of so many pools, in so many characters.
const POOLS: usize = 100;
const REASON: usize = 500;

/// Asks every machine at once. Gives all holds, by place and snapshot, and whose are not among them.
pub(crate) async fn gather(tracker: &Tracker) -> (Vec<Hold>, Vec<Unasked>) {
    let machines: Vec<MachineId> = tracker.catalogue.borrow().machines().cloned().collect();
    let asking = machines.into_iter().map(|machine| async move {
        let told = match tracker.line_of(&machine) {
            Some(line) => ask(&line).await,
            None => Err("the machine is offline".to_owned()),
        };
        told.map_err(|reason| Unasked { place: machine.to_string(), reason })
    });
    let (mut holds, mut unasked) = (Vec::new(), Vec::new());
    for told in join_all(asking).await {
        match told {
            Ok((told, pools)) => {
                holds.extend(told);
                unasked.extend(pools);
            }
            Err(machine) => unasked.push(machine),
        }
    }
    holds.sort_by(|a, b| (&a.place, &a.snapshot, &a.tag).cmp(&(&b.place, &b.snapshot, &b.tag)));
    (holds, unasked)
}

/// What one machine holds, and which of its pools could not be listed; or why it didn't say.
async fn ask(line: &Line) -> Result<(Vec<Hold>, Vec<Unasked>), String> {
    const OPERATION: &str = "list the holds of";
    let holds = Rc::default();
    let mut request = line.agent.holds_request();
    let collector = Collector { machine: line.machine.clone(), holds: Rc::clone(&holds) };
    request.get().set_sink(capnp_rpc::new_client(collector));
    let told = async {
        let answer = line.ask_soon(OPERATION, &line.machine, request.send().promise).await?;
        let told = answer.get().and_then(|answer| match outcome::read(answer.get_outcome()?)? {
            Ok(listed) => Unasked::read_all(listed).map(Ok),
            Err(failure) => Ok(Err(failure)),
        });
        told.map_err(|error| Failure::from_exception(OPERATION, &line.machine, &error))?
    };
    match told.await {
        Ok(pools) => {
            let pools = pools.into_iter().take(POOLS).map(|pool| Unasked {
                place: format!(r"{}\{}", line.machine, shortened(&pool.place)),
                reason: shortened(&pool.reason),
            });
            Ok((holds.take(), pools.collect()))
        }
        Err(failure) => {
            tracing::warn!(machine = %line.machine, %failure);
            Err(shortened(&failure.reason))
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(REASON).collect()
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

    async fn done(
        self: Rc<Self>,
        _: hold_sink::DoneParams,
        _: hold_sink::DoneResults,
    ) -> Result<(), Error> {
        Ok(())
    }
}
