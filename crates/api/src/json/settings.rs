//! What `windlass config show --json` prints: settings of a command line, and where they come from.

use serde::Serialize;
use utoipa::ToSchema;

/// All settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Settings {
    /// The files that were read; the first counts least.
    pub files: Vec<String>,
    /// Each setting, with what holds.
    pub settings: Vec<Setting>,
}

/// One setting, and what holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Setting {
    /// Its place in the file.
    #[schema(example = "up.data-dir")]
    pub name: String,
    /// What holds; none where nothing is set.
    pub values: Vec<String>,
    /// Where that comes from: `default`, a variable, a file with its line.
    #[schema(example = "default")]
    pub from: String,
    /// The variable that sets it; `null` where none does.
    #[schema(example = "WINDLASS_UP_DATA_DIR")]
    pub variable: Option<String>,
}
