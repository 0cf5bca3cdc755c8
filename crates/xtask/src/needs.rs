//! What tests need of the machine. It is installed where that may be; else the tests that need it
//! are left out, and named.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::install::{self, Package};
use crate::lab;

const CAPNP: Package = Package { name: "capnproto", proof: "capnp" };
const LIBCAPNP: Package =
    Package { name: "libcapnp-dev", proof: "/usr/include/capnp/rpc-twoparty.h" };
const GXX: Package = Package { name: "g++", proof: "g++" };

const VALGRIND: Package = Package { name: "valgrind", proof: "valgrind" };

/// Debian packages that only some tests need.
struct Need {
    what: &'static str,
    packages: &'static [Package],
    /// What stands in the names of the tests that need them, and in no other's.
    tests: &'static str,
}

const NEEDS: [Need; 2] = [
    Need {
        what: "comparing the checked-in Rust with the schemas",
        packages: &[CAPNP, LIBCAPNP],
        tests: "checked_in_rust",
    },
    Need { what: "the peers in C++", packages: &[CAPNP, LIBCAPNP, GXX], tests: "ezrpc" },
];
/// The same for the tests with a peer in Python.
const PYTHON_TESTS: &str = "pycapnp";

/// What can run on this machine.
#[derive(Default)]
pub(crate) struct Machine {
    /// The Python with a Cap'n Proto library.
    pub(crate) python: Option<PathBuf>,
    /// Whether instructions can be counted, and compared with those committed.
    pub(crate) callgrind: bool,
    /// Whether the lab can be built and booted.
    pub(crate) lab: bool,
    /// Parts of test names: such tests can't run.
    pub(crate) skipped: Vec<&'static str>,
    /// What is left out, and why, a line each.
    pub(crate) left_out: Vec<String>,
}

impl Machine {
    /// Installs what the tests on this machine need.
    pub(crate) fn prepare_for_tests(&mut self) {
        for need in &NEEDS {
            if let Err(error) = install::packages(need.packages) {
                self.leave_out(need.what, &error);
                self.skipped.push(need.tests);
            }
        }
        // The peer in Python reads its schemas from where that package puts them.
        match install::packages(&[LIBCAPNP]).and_then(|()| install::python()) {
            Ok(python) => self.python = Some(python),
            Err(error) => {
                self.leave_out("the peer in Python", &error);
                self.skipped.push(PYTHON_TESTS);
            }
        }
        match instructions_can_be_counted() {
            Ok(()) => self.callgrind = true,
            Err(error) => self.leave_out("counting the instructions that a stream takes", &error),
        }
    }

    /// Installs what the lab needs.
    pub(crate) fn prepare_for_lab(&mut self) {
        match install::packages(&lab::PACKAGES) {
            Ok(()) => self.lab = true,
            Err(error) => self.leave_out("the lab, and all tests on real OpenZFS", &error),
        }
    }

    fn leave_out(&mut self, what: &str, why: &anyhow::Error) {
        self.left_out.push(format!("{what}: {why:#}"));
    }
}

/// Callgrind shows programs a processor of its own, as far as the true one can do what that has.
fn instructions_can_be_counted() -> Result<()> {
    if !has_avx2() {
        bail!("the committed figures are of x86-64 with AVX2");
    }
    install::packages(&[VALGRIND])
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}
