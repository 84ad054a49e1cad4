//! Numbers that wrap: comparison by RFC 1982, in one place.

/// A number on a circle: `a` comes before `b` when the shorter way from `a` to `b` goes up.
macro_rules! serial {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $signed:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number `n` further on.
            #[must_use]
            pub fn plus(self, n: $inner) -> Self {
                Self(self.0.wrapping_add(n))
            }

            /// The number `n` before.
            #[must_use]
            pub fn minus(self, n: $inner) -> Self {
                Self(self.0.wrapping_sub(n))
            }

            /// The next number.
            #[must_use]
            pub fn next(self) -> Self {
                self.plus(1)
            }

            /// How far `self` lies after `other`; huge when it lies before.
            pub fn since(self, other: Self) -> $inner {
                self.0.wrapping_sub(other.0)
            }

            /// Whether `self` comes before `other`.
            pub fn before(self, other: Self) -> bool {
                (self.0.wrapping_sub(other.0) as $signed) < 0
            }

            /// Whether `self` comes after `other`.
            pub fn after(self, other: Self) -> bool {
                other.before(self)
            }
        }
    };
}

serial!(
    /// A transmission sequence number (RFC 9260 §1.6).
    Tsn, u32, i32
);
serial!(
    /// A stream sequence number of DATA (RFC 9260 §3.3.1).
    Ssn, u16, i16
);
serial!(
    /// A message identifier of I-DATA (RFC 8260 §2.1).
    Mid, u32, i32
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_survives_the_wrap() {
        assert!(Tsn(u32::MAX).before(Tsn(0)));
        assert!(Tsn(5).after(Tsn(u32::MAX - 5)));
        assert!(!Tsn(7).before(Tsn(7)));
        assert_eq!(Tsn(2).since(Tsn(u32::MAX)), 3);
        assert!(Ssn(65535).before(Ssn(0)));
        assert_eq!(Mid(0).minus(1), Mid(u32::MAX));
    }
}
