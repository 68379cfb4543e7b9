//! (opening words)
