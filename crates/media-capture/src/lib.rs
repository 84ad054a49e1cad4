//! Cameras, microphones and speakers, and synthetic ones where there are none
