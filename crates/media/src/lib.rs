//! Frames, tracks and streams: the types that capture, codecs and the facade share
