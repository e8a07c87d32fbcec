//! The whole system across real processes: the blog, two routers, the promoter and the load driver on one machine.
//!
//! ```text
//! demo ──starts──► router A, router B (one port)   ◄── load, as readers
//!   │               promoter ──supervises──► blog processes
//!   └──writes──► huidu.yaml (what `kubectl apply` would be)
//! ```
//!
//! [`Machine`] starts and ends them; the program `demo` and the tests drive it. Nothing here is a fake.

mod child;
pub mod demo;
mod machine;
mod readers;

pub use child::{Child, program};
pub use machine::{Machine, NAME, Ports, Version};
pub use readers::{Both, Latency, Readers, Second, Tally};
