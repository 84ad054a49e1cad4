//! Simulated networks and NATs on a simulated clock, for tests of sans-IO endpoints
