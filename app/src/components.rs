//! Reusable parts, on native elements.

mod busy;
mod chart;
mod dialog;
mod empty_state;
mod field;
mod form;
mod icon;
mod link_once;
mod moment;
mod notice;
mod password_again;
mod resource_picker;
mod scope_picker;
mod secret_reveal;
mod status;
mod theme_switch;
mod title;
mod toast;

pub(crate) use busy::SubmitButton;
pub(crate) use chart::{DayChart, DayTable, WeekGrid};
pub(crate) use dialog::{Dialog, DialogFoot, PAGE_TITLE};
pub(crate) use empty_state::EmptyState;
pub(crate) use field::{Field, FieldError, Select, describe};
pub(crate) use form::{QueryForm, SendForm, Sending};
pub(crate) use icon::Icon;
pub(crate) use link_once::LinkOnce;
pub(crate) use moment::{Moment, Precision};
pub(crate) use notice::{FaultNotice, Notice, Tone};
pub(crate) use password_again::PasswordAgain;
pub(crate) use resource_picker::{ResourceChips, ResourcePicker};
pub(crate) use scope_picker::{ScopeChips, ScopePicker};
pub(crate) use secret_reveal::{SecretReveal, Snippet};
pub(crate) use status::StatusPill;
pub(crate) use theme_switch::{ChosenTheme, ThemeSwitch};
pub(crate) use title::Title;
pub(crate) use toast::{Toaster, Toasts};
