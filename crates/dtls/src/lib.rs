//! DTLS 1.2 and 1.3 endpoint with certificates, fingerprints and SRTP keying, sans-IO
