//! Holds: listed from all machines, released at one or for a transfer.

use std::cell::RefCell;
use std::rc::Rc;

use capnp::Error;
use schema::hold::Unasked;
use schema::hold_capnp::hold_sink;
use schema::{Code, Failure, Hold, outcome, wire};

use crate::agent::{Asked, Dataset, Registered, UNKNOWN, register};
use crate::process::{Home, run};
use crate::user::{User, open};

fn hold(snapshot: &str, tag: &str) -> Hold {
    Hold {
        place: None,
        snapshot: snapshot.parse().unwrap(),
        tag: tag.into(),
        destination: r"dc\z\tank/a".into(),
        since: 1,
        last_used: 2,
    }
}

struct Collector(Rc<RefCell<Vec<Hold>>>);

impl hold_sink::Server for Collector {
    async fn write(self: Rc<Self>, params: hold_sink::WriteParams) -> Result<(), Error> {
        // As a slow reader: the answer must not overtake what is still being taken.
        tokio::task::yield_now().await;
        for hold in params.get()?.get_holds()? {
            self.0.borrow_mut().push(Hold::read(hold)?);
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

/// All holds, and who could not be asked, each with why.
async fn list(user: &User) -> (Vec<Hold>, Vec<String>) {
    let holds = Rc::default();
    let mut request = user.fleet.holds_request();
    request.get().set_sink(capnp_rpc::new_client(Collector(Rc::clone(&holds))));
    let answer = request.send().promise.await.unwrap();
    let listed = outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap().unwrap();
    let unasked = Unasked::read_all(listed).unwrap().into_iter();
    (holds.take(), unasked.map(|Unasked { place, reason }| format!("{place}: {reason}")).collect())
}

#[test]
fn holds_are_listed_by_place_and_who_does_not_answer_is_named() {
    run(async {
        let home = Home::new();
        let _tracker = home.start("dc");
        let second = register(&home, "dc", "m2", &["tank", "spare"]).await;
        let first = register(&home, "dc", "m1", &["tank"]).await;
        let mute = register(&home, "dc", "mute", &["tank"]).await;
        let away = register(&home, "dc", "away", &["tank"]).await;
        away.connection.close().await;
        let _unanswered = mute.answering.clone().lock_owned().await;
        second.holds.replace(vec![
            hold("tank/b@s", "zatlas-m2-01"),
            hold("tank/a@s", "zatlas-m2-02"),
            hold("spare/x y@s", "zatlas-m2-01"),
        ]);
        // One pool that can't be listed hides no other.
        let broken = Unasked { place: "broken".into(), reason: "it is suspended".into() };
        second.unlisted.replace(vec![broken]);
        // It can't say that it is elsewhere.
        let elsewhere = Some(r"dc\m2\other".parse().unwrap());
        first.holds.replace(vec![Hold { place: elsewhere, ..hold("tank/z@s", "zatlas-m1-01") }]);

        let user = open(&home).await;
        let (holds, unasked) = tokio::select! {
            listed = list(&user) => listed,
            never = mute.beat() => match never {},
            never = first.beat() => match never {},
            never = second.beat() => match never {},
        };
        let place = |hold: &Hold| hold.place.as_ref().unwrap().to_string();
        let shown: Vec<_> =
            holds.iter().map(|hold| format!("{} {}", place(hold), hold.snapshot)).collect();
        assert_eq!(
            shown,
            [
                r"dc\m1\tank tank/z@s",
                r"dc\m2\spare spare/x y@s",
                r"dc\m2\tank tank/a@s",
                r"dc\m2\tank tank/b@s",
            ]
        );
        let told = Hold { place: None, ..holds[3].clone() };
        assert_eq!(told, hold("tank/b@s", "zatlas-m2-01"));
        assert_eq!(
            unasked,
            [
                r"dc\away: the machine is offline",
                r"dc\m2\broken: it is suspended",
                r"dc\mute: the machine 'dc\mute' did not answer for 20 s",
            ]
        );
    });
}

async fn release(user: &User, pool: &str, snapshot: &str, tag: &str) -> Result<(), Failure> {
    let mut request = user.fleet.release_request();
    let place = format!(r"dc\m\{pool}").parse().unwrap();
    wire::write_place(request.get().init_place(), &place);
    request.get().set_snapshot(snapshot);
    request.get().set_tag(tag);
    let answer = request.send().promise.await.unwrap();
    outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap().map(drop)
}

async fn machine(home: &Home, name: &str, datasets: &[Dataset]) -> Registered {
    let machine = register(home, "dc", name, &["tank"]).await;
    machine.replace("tank", datasets).await;
    machine
}

#[test]
fn one_hold_is_released_by_its_agent() {
    run(async {
        let home = Home::new();
        let tracker = home.start("dc");
        let mut machine = machine(&home, "m", &[]).await;
        let user = open(&home).await;
        release(&user, "tank", "tank/a b@s", "zatlas-m-01").await.unwrap();
        let released = Asked::Release { snapshot: "tank/a b@s".into(), tag: "zatlas-m-01".into() };
        assert_eq!(machine.asked.recv().await, Some(released));

        let failure = release(&user, "tank", "tank/a@s", UNKNOWN).await.unwrap_err();
        assert_eq!(failure.code, Code::Refused, "the agent's own words: {failure}");
        assert!(matches!(machine.asked.recv().await, Some(Asked::Release { .. })));
        for (pool, status) in [("other", 2), ("spare", 3)] {
            let snapshot = if pool == "other" { "tank/a@s" } else { "spare/a@s" };
            let failure = release(&user, pool, snapshot, "zatlas-m-01").await.unwrap_err();
            assert_eq!(failure.exit_status(), status, "{failure}");
        }
        assert!(machine.asked.try_recv().is_err(), "the agent was asked");
        machine.connection.close().await;
        tracker.wait_for_line("offline");
        let failure = release(&user, "tank", "tank/a@s", "zatlas-m-01").await.unwrap_err();
        assert_eq!(failure.exit_status(), 5, "{failure}");
    });
}

#[test]
fn a_transfers_holds_are_released_wherever_its_dataset_is() {
    run(async {
        let home = Home::new();
        let tracker = home.start("dc");
        let a = || Dataset("a", vec![1]);
        let mut first = machine(&home, "m1", &[a(), Dataset("b", vec![2])]).await;
        let mut second = machine(&home, "m2", &[Dataset("backup/a", vec![1])]).await;
        let mut unrelated = machine(&home, "m3", &[Dataset("b", vec![2])]).await;
        let away = machine(&home, "m4", &[a()]).await;
        away.connection.close().await;
        tracker.wait_for_line("offline");
        let user = open(&home).await;
        let broker = user.broker("a").await.unwrap();
        // What an agent refuses is not the caller's concern.
        for transfer in ["0000000000000001", UNKNOWN] {
            let mut request = broker.release_request();
            request.get().set_transfer(transfer);
            let answer = request.send().promise.await.unwrap();
            outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap().unwrap();
            for (machine, dataset) in [(&mut first, "a"), (&mut second, "backup/a")] {
                let released = Asked::ReleaseTransfer {
                    transfer: transfer.into(),
                    pool: "tank".into(),
                    dataset: dataset.into(),
                };
                assert_eq!(machine.asked.try_recv(), Ok(released), "by the time it is answered");
                assert!(machine.asked.try_recv().is_err(), "asked for more");
            }
        }
        assert!(unrelated.asked.try_recv().is_err(), "asked");
    });
}
