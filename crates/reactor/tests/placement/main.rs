//! Plans: which element goes where.

mod full;
mod kept;
mod naive;
mod policies;
mod starved;
mod support;
