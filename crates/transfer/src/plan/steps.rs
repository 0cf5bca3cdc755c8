//! The steps that bring a snapshot to a destination, or why there are none.
//!
//! Nothing that is there is ever destroyed, but for the remains of a failed first receive of ours.

use schema::{Code, Failure};
use zfs::DatasetName;

/// What the destination holds under the target's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Nothing; these of its parents are missing too, topmost first.
    Absent {
        /// To be created.
        missing_parents: Vec<DatasetName>,
    },
    /// An unfinished first receive.
    Unfinished {
        /// Whether a transfer of ours began it.
        ours: bool,
    },
    /// A dataset.
    Present {
        /// Whether it holds the snapshot that is wanted.
        has_snapshot: bool,
    },
}

/// One thing to do at the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Throw away what a failed first receive of ours left.
    AbortReceive(DatasetName),
    /// Create a missing parent, unmounted.
    CreateParent(DatasetName),
    /// Receive the snapshot whole.
    Receive,
}

impl Step {
    /// The dataset that it creates beside the target.
    pub fn creates(&self) -> Option<&DatasetName> {
        match self {
            Self::CreateParent(parent) => Some(parent),
            Self::AbortReceive(_) | Self::Receive => None,
        }
    }
}

/// Plans to receive a snapshot whole.
pub fn plan(target: &DatasetName, destination: &Destination) -> Result<Vec<Step>, Failure> {
    let refuse = |reason: &str, remedy: String| {
        Err(Failure::new(Code::Refused, "receive", target, reason, remedy))
    };
    let mut steps = match destination {
        Destination::Absent { missing_parents } => {
            missing_parents.iter().cloned().map(Step::CreateParent).collect()
        }
        Destination::Unfinished { ours: true } => vec![Step::AbortReceive(target.clone())],
        Destination::Unfinished { ours: false } => {
            return refuse(
                "an unfinished receive that is not of zatlas is there",
                format!("Finish it, or throw it away with: zfs receive -A '{target}'"),
            );
        }
        Destination::Present { has_snapshot: true } => {
            return refuse(
                "it is there already, with this snapshot",
                "Nothing needs to be done; for a second copy, choose another name.".to_owned(),
            );
        }
        Destination::Present { has_snapshot: false } => {
            return refuse(
                "the destination exists already",
                "Choose another name for it, or rename what is there with: zfs rename".to_owned(),
            );
        }
    };
    steps.push(Step::Receive);
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(destination: &Destination) -> Result<Vec<Step>, Code> {
        plan(&"tank/a/b".parse().unwrap(), destination).map_err(|failure| failure.code)
    }

    #[test]
    fn missing_parents_are_created_one_by_one() {
        let parents: Vec<DatasetName> = vec!["tank/a".parse().unwrap()];
        assert_eq!(
            steps(&Destination::Absent { missing_parents: parents.clone() }),
            Ok(vec![Step::CreateParent(parents[0].clone()), Step::Receive])
        );
    }

    #[test]
    fn only_a_failed_first_receive_of_ours_is_thrown_away() {
        assert_eq!(
            steps(&Destination::Unfinished { ours: true }),
            Ok(vec![Step::AbortReceive("tank/a/b".parse().unwrap()), Step::Receive])
        );
        for destination in [
            Destination::Unfinished { ours: false },
            Destination::Present { has_snapshot: true },
            Destination::Present { has_snapshot: false },
        ] {
            assert_eq!(steps(&destination), Err(Code::Refused), "{destination:?}");
        }
    }
}
