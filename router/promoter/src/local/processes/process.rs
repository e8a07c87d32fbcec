//! One process: started or found, watched, signalled.

use super::labels::Labels;
use crate::local::template::Template;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};

/// A process that was alive when it was last looked at.
///
/// Signals go through a file descriptor of the process, so that they never reach another one that has got the same
/// number since. Source: pidfd_open(2), Linux 5.3.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    fd: Arc<OwnedFd>,
}

/// What tells that the process has ended.
#[derive(Debug)]
pub(super) enum Watch {
    /// A child of this promoter, which must be waited for.
    Child(Child),
    /// A child of a former promoter: only its end can be seen.
    Stranger(Arc<OwnedFd>),
}

/// How a process ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Exit {
    /// As the kernel says.
    Status(ExitStatus),
    /// It was not our child.
    Unknown,
}

// === impl Process ===

impl Process {
    /// Starts a process with labels, in a group of its own so that a Ctrl-C at the promoter's terminal leaves it alone.
    pub(super) fn start(template: &Template, labels: &Labels, output: &File) -> io::Result<(Self, Watch)> {
        let fill = |text: &str| {
            text.replace("{port}", &labels.port.to_string()).replace("{replica}", &labels.replica)
        };
        let mut command = Command::new(template.program());
        command
            .args(template.command.iter().skip(1).map(|word| fill(word)))
            .envs(template.env.iter().map(|(name, value)| (name, fill(value))))
            .envs(labels.environment())
            .current_dir(&template.working_directory)
            .process_group(0)
            .kill_on_drop(false)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?);
        let child = command.spawn()?;
        let pid = child.id().ok_or_else(|| io::Error::other("the process ended at once"))?;
        // The number cannot have been given away: nobody has waited for the child yet.
        Ok((Self { pid, fd: Arc::new(open(pid)?) }, Watch::Child(child)))
    }

    /// Takes hold of a process that was found, if it still carries these labels.
    pub(super) fn find(pid: u32, labels: &Labels) -> io::Result<Option<(Self, Watch)>> {
        let fd = match open(pid) {
            Ok(fd) => Arc::new(fd),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        // Looked at after the descriptor was opened, the labels are those of the very process that it means.
        let same = Labels::of(pid).as_ref() == Some(labels);
        Ok(same.then(|| (Self { pid, fd: Arc::clone(&fd) }, Watch::Stranger(fd))))
    }

    /// Sends a signal; a process that has ended already is as good as signalled.
    pub(super) fn signal(&self, signal: Signal) {
        if let Err(error) = pidfd_send_signal(&self.fd, signal)
            && error != rustix::io::Errno::SRCH
        {
            tracing::warn!(pid = self.pid, %error, "Could not signal process {}", self.pid);
        }
    }
}

// === impl Watch ===

impl Watch {
    /// Waits for the end.
    pub(super) async fn ended(self) -> Exit {
        match self {
            Self::Child(mut child) => child.wait().await.map_or(Exit::Unknown, Exit::Status),
            Self::Stranger(fd) => {
                #[expect(
                    deprecated,
                    reason = "its successor is unsafe for the sake of types that close their descriptor early, \
                              which an OwnedFd cannot; unsafe code is forbidden here"
                )]
                let fd = AsyncFd::with_interest(fd, Interest::READABLE);
                if let Ok(fd) = fd {
                    // Readable means ended.
                    let _ = fd.readable().await;
                }
                Exit::Unknown
            }
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("ended"),
            Self::Status(status) => match (status.code(), status.signal()) {
                (Some(code), _) => write!(f, "exited with status {code}"),
                (None, Some(signal)) => write!(f, "ended by signal {signal}"),
                (None, None) => f.write_str("ended"),
            },
        }
    }
}

fn open(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("not the number of a process"))?;
    Ok(pidfd_open(pid, PidfdFlags::NONBLOCK)?)
}
