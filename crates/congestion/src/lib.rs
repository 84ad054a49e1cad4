//! Congestion feedback, bandwidth estimation and pacing for real-time media
