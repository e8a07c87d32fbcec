#![doc = include_str!("../README.md")]

mod choice;
mod sequence;
mod shares;
mod track;
mod weight;

pub use choice::{Choice, Hints, Override, Reason};
pub use sequence::Split;
pub use shares::{BackendWeight, MAX_BACKEND_WEIGHT, MAX_BACKENDS, Shares, SharesError};
pub use track::{Track, UnknownTrack};
pub use weight::{Weight, WeightError};
