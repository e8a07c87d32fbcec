use crate::{
    driver::{Driver, Outcome, Pace},
    driver_h2::DriverH2,
    h2,
    origin::LARGE,
    peer::{H1_PORT, Peer},
    process::Process,
};
use clap::ValueEnum;
use std::time::Duration;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Scenario {
    /// HTTP/1.1, an answer of 13 bytes.
    Tiny,
    /// HTTP/1.1, an answer of 64 KiB.
    #[value(name = "64k")]
    Large,
    /// HTTP/2 from the client, an answer of 13 bytes.
    TinyH2,
    /// HTTP/2 from the client, an answer of 64 KiB.
    #[value(name = "64k-h2")]
    LargeH2,
    /// Resident memory with idle connections.
    Memory,
    /// The same with connections of HTTP/2.
    MemoryH2,
    /// HTTP/1.1 at a fixed rate that every peer can carry.
    Latency,
    /// The same over HTTP/2 from the client.
    LatencyH2,
}

/// Connections of the load.
pub const CONNECTIONS: usize = 64;

const WARM_UP: Duration = Duration::from_millis(400);

/// Idle connections that memory is measured with.
pub const IDLE: [usize; 3] = [1, 64, 1_000];

/// Long enough for buffers of idle connections to be given back.
const IDLE_FOR: Duration = Duration::from_millis(3_500);

/// Figures of one measurement, each with its name in the report.
pub type Figures = Vec<(String, f64)>;

// === impl Scenario ===

impl Scenario {
    pub const ALL: [Self; 8] = [
        Self::Tiny,
        Self::Large,
        Self::TinyH2,
        Self::LargeH2,
        Self::Memory,
        Self::MemoryH2,
        Self::Latency,
        Self::LatencyH2,
    ];

    /// The name in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Large => "64k",
            Self::TinyH2 => "tiny_h2",
            Self::LargeH2 => "64k_h2",
            Self::Memory => "memory",
            Self::MemoryH2 => "memory_h2",
            Self::Latency => "latency",
            Self::LatencyH2 => "latency_h2",
        }
    }

    /// The scenario that says how fast this one may be, where its rate is fixed.
    pub const fn paced_by(self) -> Option<Self> {
        match self {
            Self::Latency => Some(Self::Tiny),
            Self::LatencyH2 => Some(Self::TinyH2),
            Self::Tiny | Self::Large | Self::TinyH2 | Self::LargeH2 | Self::Memory | Self::MemoryH2 => None,
        }
    }

    /// Whether the client speaks HTTP/2.
    pub const fn is_h2(self) -> bool {
        matches!(self, Self::TinyH2 | Self::LargeH2 | Self::MemoryH2 | Self::LatencyH2)
    }

    /// What is asked for.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Large | Self::LargeH2 => LARGE,
            Self::Tiny | Self::TinyH2 | Self::Memory | Self::MemoryH2 | Self::Latency | Self::LatencyH2 => {
                "/"
            }
        }
    }

    /// Measures a peer that has just been started. `None`: it does not do this.
    pub fn measure(
        self,
        (peer, process): (&Peer, &Process),
        length: Duration,
        rate: f64,
    ) -> anyhow::Result<Option<Figures>> {
        match self {
            Self::Tiny | Self::Large => load(process, self.path(), Pace::Closed, length).map(Some),
            Self::Latency => load(process, self.path(), Pace::Open(rate), length).map(Some),
            Self::TinyH2 | Self::LargeH2 => {
                peer.h2_port.map(|port| h2::load(process, (port, self.path()), length)).transpose()
            }
            Self::LatencyH2 => peer.h2_port.map(|port| load_h2(process, port, (rate, length))).transpose(),
            Self::Memory => {
                let mut driver = Driver::connect(H1_PORT, "/", 0)?;
                memory(process, |count| driver.grow(count).and_then(|()| driver.touch())).map(Some)
            }
            Self::MemoryH2 => peer.h2_port.map(|port| memory_h2(process, port)).transpose(),
        }
    }
}

fn load(process: &Process, path: &str, pace: Pace, length: Duration) -> anyhow::Result<Figures> {
    let mut driver = Driver::connect(H1_PORT, path, CONNECTIONS)?;
    driver.run(pace, WARM_UP)?;
    let before = process.cpu()?;
    let outcome = driver.run(pace, length)?;
    let cpu = process.cpu()? - before;
    let mut figures = per_request(cpu, outcome.requests, outcome.took);
    if let Pace::Open(rate) = pace {
        figures.extend(latency(&outcome, rate));
    }
    Ok(figures)
}

fn load_h2(process: &Process, port: u16, (rate, length): (f64, Duration)) -> anyhow::Result<Figures> {
    let mut driver = DriverH2::connect(port, CONNECTIONS)?;
    driver.run(rate, WARM_UP)?;
    let before = process.cpu()?;
    let outcome = driver.run(rate, length)?;
    let mut figures = per_request(process.cpu()? - before, outcome.requests, outcome.took);
    figures.extend(latency(&outcome, rate));
    Ok(figures)
}

fn latency(outcome: &Outcome, rate: f64) -> Figures {
    let mut figures = vec![("target_rps".into(), rate)];
    for (name, quantile) in [("p50_us", 0.5), ("p99_us", 0.99), ("p999_us", 0.999)] {
        figures.push((name.into(), outcome.latency.value_at_quantile(quantile) as f64 / 1e3));
    }
    figures
}

/// CPU per request, and requests a second.
pub fn per_request(cpu: Duration, requests: u64, took: Duration) -> Figures {
    let requests = requests as f64;
    vec![
        ("cpu_us_per_request".into(), cpu.as_secs_f64() * 1e6 / requests),
        ("rps".into(), requests / took.as_secs_f64()),
    ]
}

fn memory_h2(process: &Process, port: u16) -> anyhow::Result<Figures> {
    let mut driver = DriverH2::connect(port, 0)?;
    memory(process, |count| driver.grow(count).and_then(|()| driver.touch()))
}

/// Resident memory after `grow` has made that many connections, each of which has had an answer.
fn memory(process: &Process, mut grow: impl FnMut(usize) -> anyhow::Result<()>) -> anyhow::Result<Figures> {
    let mut figures = Figures::new();
    for count in IDLE {
        grow(count)?;
        std::thread::sleep(IDLE_FOR);
        figures.push((format!("rss_mib_{count}"), process.memory_kib()? as f64 / 1024.0));
    }
    Ok(figures)
}
