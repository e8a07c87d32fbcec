//! The router as a client and an operator see it: real sockets on loopback, ports chosen by the system.

#[cfg(test)]
mod access_log;
#[cfg(test)]
mod admin;
#[cfg(test)]
mod config;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod endpoints;
#[cfg(test)]
mod exact;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod filters;
#[cfg(test)]
mod forward;
#[cfg(test)]
mod h2_floods;
#[cfg(test)]
mod h2_hostile;
#[cfg(test)]
mod h2_hygiene;
#[cfg(test)]
mod h2_limits;
#[cfg(test)]
mod h2_origin;
#[cfg(test)]
mod h2_slow;
#[cfg(test)]
mod h2_streams;
#[cfg(test)]
mod h2_upstream;
#[cfg(test)]
mod hygiene;
#[cfg(test)]
mod kubernetes;
#[cfg(test)]
mod large;
#[cfg(test)]
mod lies;
#[cfg(test)]
mod names;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod overload;
#[cfg(test)]
mod program;
#[cfg(test)]
mod response_hygiene;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod simple;
#[cfg(test)]
mod slow;
#[cfg(test)]
mod split;
#[cfg(test)]
mod support;
#[cfg(test)]
mod targets;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod under_load;
#[cfg(test)]
mod upgrade;
#[cfg(test)]
mod wire;
