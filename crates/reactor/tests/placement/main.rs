//! Plans: which element goes where.

mod full;
mod naive;
mod policies;
mod starved;
mod support;
