/// What is wrong with a description that was received, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {kind}")]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// The character in that line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub kind: ParseErrorKind,
}

/// The kinds of [`ParseError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// Not `<letter>=<value>`.
    #[error("expected a line of the form <letter>=<value>")]
    NotALine,
    /// A letter that RFC 8866 does not define; such a description must be rejected as a whole (§5).
    #[error("unknown line type `{0}`")]
    UnknownType(char),
    /// A line that may not stand here, or not once more (RFC 8866 §9 fixes the order).
    #[error("`{0}=` may not stand here")]
    Misplaced(char),
    /// The line that must stand here (or after the last line) is missing.
    #[error("expected `{0}=`")]
    Missing(char),
    /// A protocol version other than 0.
    #[error("unsupported version")]
    UnsupportedVersion,
    /// A line whose value does not follow the grammar.
    #[error("malformed `{line_type}=` line: expected {expected}")]
    Malformed {
        /// The line's letter.
        line_type: char,
        /// What the grammar asks for.
        expected: &'static str,
    },
    /// A known attribute whose value does not follow its grammar.
    #[error("malformed attribute `{name}`: expected {expected}")]
    Attribute {
        /// The attribute.
        name: &'static str,
        /// What its grammar asks for.
        expected: &'static str,
    },
    /// NUL, or a carriage return inside a line.
    #[error("a byte that no line may contain")]
    ForbiddenByte,
    /// Longer than [`MAX_LENGTH`](crate::MAX_LENGTH).
    #[error("the description is too long")]
    TooLong,
}

/// Why the value of one attribute could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("column {}: expected {expected}", .offset + 1)]
pub struct ValueError {
    /// The byte of the value where it goes wrong, from 0.
    pub offset: usize,
    /// What the grammar asks for.
    pub expected: &'static str,
}
