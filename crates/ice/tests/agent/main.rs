//! Agents on simulated networks.

mod bad_input;
mod common;
mod connect;
mod consent;
mod moves;
mod nat_matrix;
mod relay;
mod restart;
mod servers;
mod special;
