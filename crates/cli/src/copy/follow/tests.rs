use std::cell::RefCell;

use ::transfer::options::Options;
use ::transfer::report::Status;
use ::transfer::wire::{read_request, write_plan, write_summary};
use schema::outcome_capnp;
use tokio::net::TcpListener;
use tokio::task::LocalSet;

use super::*;
use crate::output::examples;
use crate::testing::FakeTracker;

fn running(tracker: std::net::SocketAddr) -> Running {
    Running {
        capability: format!("capnp://insecure@{tracker}/c2VjcmV0").parse().unwrap(),
        request: CopyRequest {
            dataset: "data".parse().unwrap(),
            destination: r"site\machine\tank\x".parse().unwrap(),
            from: None,
            snapshot: None,
            dry_run: false,
            options: Options { restart: true, rollback: true, ..Options::default() },
        },
        story: Rc::default(),
    }
}

fn nowhere() -> Running {
    running(([127, 0, 0, 1], 1).into())
}

/// A transfer that tells of a plan and these notes, and has come to its end.
struct Over {
    notes: &'static [&'static str],
    end: capnp::Result<Result<(), Code>>,
}

impl transfer::Server for Over {
    async fn observe(
        self: Rc<Self>,
        params: transfer::ObserveParams,
        mut results: transfer::ObserveResults,
    ) -> capnp::Result<()> {
        let observer = params.get()?.get_observer()?;
        let mut request = observer.event_request();
        write_plan(request.get().init_event().init_plan(), &examples::summary().plan);
        request.send().await?;
        for note in self.notes {
            let mut request = observer.event_request();
            request.get().init_event().set_note(note);
            request.send().await?;
        }
        let failure = |code| Failure::new(code, "receive", "", "a test", "");
        let result = self.end.clone()?.map_err(failure);
        outcome::write(results.get().init_outcome(), result, |summary, ()| {
            write_summary(summary, &examples::summary());
            Ok(())
        })
    }
}

/// A transfer at a destination that says nothing any more.
struct Silent {
    /// Cancelled when it is watched.
    watched: CancellationToken,
}

impl transfer::Server for Silent {
    async fn observe(
        self: Rc<Self>,
        _: transfer::ObserveParams,
        _: transfer::ObserveResults,
    ) -> capnp::Result<()> {
        self.watched.cancel();
        std::future::pending().await
    }

    async fn cancel(
        self: Rc<Self>,
        _: transfer::CancelParams,
        _: transfer::CancelResults,
    ) -> capnp::Result<()> {
        std::future::pending().await
    }
}

/// A fleet whose agent answers to an attachment with a code, and starts whatever it is asked for:
/// a transfer that is done at once.
#[derive(Clone)]
struct Agent {
    attached: Result<(), Code>,
    asked: Rc<RefCell<Vec<String>>>,
    started: Rc<RefCell<Vec<CopyRequest>>>,
}

impl Agent {
    fn new(attached: Result<(), Code>) -> Self {
        Self { attached, asked: Rc::default(), started: Rc::default() }
    }
}

fn answer(
    outcome: outcome_capnp::outcome::Builder<'_, schema::transfer_capnp::started::Owned>,
    result: Result<&str, Code>,
) -> capnp::Result<()> {
    let result = result.map_err(|code| Failure::new(code, "attach", "", "a test", ""));
    outcome::write(outcome, result, |mut started, id| {
        started.set_id(id);
        started.set_transfer(new_client(Over { notes: &["one", "two", "three"], end: Ok(Ok(())) }));
        Ok(())
    })
}

impl fleet::Server for Agent {
    async fn attach(
        self: Rc<Self>,
        params: fleet::AttachParams,
        mut results: fleet::AttachResults,
    ) -> capnp::Result<()> {
        let params = params.get()?;
        let place = wire::read_place(params.get_destination()?)?;
        let asked = format!("{} at {place}", params.get_dataset()?.to_str()?);
        self.asked.borrow_mut().push(asked);
        let id = params.get_id()?.to_string()?;
        answer(results.get().init_outcome(), self.attached.map(|()| id.as_str()))
    }

    async fn copy(
        self: Rc<Self>,
        params: fleet::CopyParams,
        mut results: fleet::CopyResults,
    ) -> capnp::Result<()> {
        self.started.borrow_mut().push(read_request(params.get()?.get_request()?)?);
        answer(results.get().init_outcome(), Ok("new"))
    }
}

async fn find(agent: &Agent, known: Option<&str>) -> Result<(String, bool), (Code, bool)> {
    find_as(&nowhere(), agent, known).await
}

async fn find_as(
    running: &Running,
    agent: &Agent,
    known: Option<&str>,
) -> Result<(String, bool), (Code, bool)> {
    let fleet = new_client(agent.clone());
    let found = running.find_at(&fleet, known);
    let found = LocalSet::new().run_until(found).await;
    found
        .map(|(started, anew)| (started.id, anew))
        .map_err(|error| (error.failure.code, error.may_help))
}

#[tokio::test]
async fn a_transfer_that_goes_on_is_found_by_its_id() {
    let agent = Agent::new(Ok(()));
    assert_eq!(find(&agent, Some("old")).await, Ok(("old".to_owned(), false)));
    assert_eq!(*agent.asked.borrow(), [r"data at site\machine\tank"]);
    assert!(agent.started.borrow().is_empty());
}

#[tokio::test]
async fn a_transfer_that_nobody_knows_any_more_is_started_again_but_throws_nothing_away() {
    for known in [Some("old"), None] {
        let (running, agent) = (nowhere(), Agent::new(Err(Code::NoSuchTransfer)));
        let planned = new_client(Over { notes: &[], end: Ok(Ok(())) });
        let cancel = CancellationToken::new();
        let observed = running.observe(&planned, &cancel);
        LocalSet::new().run_until(observed).await.unwrap().unwrap();
        assert_eq!(find_as(&running, &agent, known).await, Ok(("new".to_owned(), true)));
        let mut again = nowhere().request;
        again.options.restart = false;
        assert_eq!(*agent.started.borrow(), [again]);
    }
}

#[tokio::test]
async fn a_transfer_that_was_never_planned_is_still_to_begin_anew() {
    let agent = Agent::new(Err(Code::NoSuchTransfer));
    assert_eq!(find(&agent, Some("old")).await, Ok(("new".to_owned(), true)));
    assert_eq!(*agent.started.borrow(), [nowhere().request]);
}

#[tokio::test]
async fn only_what_may_pass_is_waited_for() {
    for (code, may_help) in
        [(Code::Offline, true), (Code::Refused, false), (Code::NoSuchPlace, false)]
    {
        let agent = Agent::new(Err(code));
        assert_eq!(find(&agent, Some("old")).await, Err((code, may_help)));
        assert!(agent.started.borrow().is_empty());
    }
}

/// How a transfer ends that first came to this end, and what was said of it.
async fn follow(agent: &Agent, first: capnp::Result<Result<(), Code>>) -> Status {
    let followed = async {
        let tracker = FakeTracker::start(new_client(agent.clone()), None);
        let running = Running { capability: tracker.capability.clone(), ..nowhere() };
        let status = running.story.watch();
        let connected = Tracker::connect(&tracker.capability).await.unwrap();
        let transfer = new_client(Over { notes: &["one", "two"], end: first });
        let started = Started { id: "old".to_owned(), transfer };
        running.follow(connected, started, CancellationToken::new()).await;
        tracker.stop().await;
        status.borrow().clone()
    };
    LocalSet::new().run_until(followed).await
}

#[tokio::test]
async fn a_transfer_that_its_agent_ended_is_started_again() {
    let agent = Agent::new(Ok(()));
    let status = follow(&agent, Ok(Err(Code::Interrupted))).await;
    let once_more = Summary { retries: examples::summary().retries + 1, ..examples::summary() };
    assert_eq!(status.outcome, Some(Ok(once_more)));
    assert!(agent.asked.borrow().is_empty(), "it has ended");
    assert_eq!(agent.started.borrow().len(), 1);
    assert!(status.notes[2].starts_with("the destination has ended"), "{:?}", status.notes);
    assert_eq!(status.notes[4..], ["one", "two", "three"], "the notes of another run");
}

#[tokio::test]
async fn a_transfer_that_is_out_of_sight_is_attached_to_again_and_repeats_nothing() {
    let agent = Agent::new(Ok(()));
    let gone = capnp::Error::disconnected("a test".to_owned());
    let status = follow(&agent, Err(gone)).await;
    assert_eq!(status.outcome, Some(Ok(examples::summary())));
    assert!(agent.started.borrow().is_empty());
    assert_eq!(
        status.notes,
        [
            "one",
            "two",
            "lost sight of the transfer, which may go on: a test; looking for it for 7d",
            "the transfer is in sight again",
            "three",
        ]
    );
}

#[tokio::test]
async fn any_other_failure_is_the_end() {
    let agent = Agent::new(Ok(()));
    let status = follow(&agent, Ok(Err(Code::Refused))).await;
    assert_eq!(status.outcome.unwrap().unwrap_err().code, Code::Refused);
    assert!(agent.asked.borrow().is_empty() && agent.started.borrow().is_empty());
}

fn assert_interrupted<T>(outcome: Result<T, Failure>) {
    let failure = outcome.err().unwrap();
    assert_eq!(failure.exit_status(), 130);
    assert!(failure.remedy.contains("may go on at the destination"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_ends_the_wait_for_a_destination_that_does_not_answer() {
    let cancel = CancellationToken::new();
    let transfer = new_client(Silent { watched: cancel.clone() });
    let running = nowhere();
    let observed = running.observe(&transfer, &cancel);
    assert_interrupted(LocalSet::new().run_until(observed).await.unwrap());
}

#[tokio::test]
async fn an_interrupt_ends_the_wait_for_a_tracker_that_does_not_answer() {
    let stalled = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let running = running(stalled.local_addr().unwrap());
    let cancel = CancellationToken::new();
    let interrupted = async {
        let connection = stalled.accept().await.unwrap();
        cancel.cancel();
        connection
    };
    let mut backoff = Backoff::new();
    let (found, _connection) = LocalSet::new()
        .run_until(async {
            tokio::join!(running.find(Some("1"), &mut backoff, &cancel), interrupted)
        })
        .await;
    assert_interrupted(found);
}
