//! What only a browser can do. Called from effects and event handlers alone, so never while the server renders.

use keyfold_domain::time::Timestamp;
use leptos::prelude::{document, queue_microtask, request_animation_frame, window};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{HtmlDialogElement, HtmlElement, HtmlFormElement};

use crate::format::Civil;
use crate::functions::fault::Fault;

/// The present moment by the device's clock. For display only.
pub(crate) fn now() -> Timestamp {
    millis(js_sys::Date::now())
}

#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "a date's milliseconds are whole and far below 2^53")]
fn millis(value: f64) -> Timestamp {
    Timestamp::from_millis(value as i64)
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "a date's milliseconds are far below 2^53")]
fn date(at: Timestamp) -> js_sys::Date {
    js_sys::Date::new(&JsValue::from_f64(at.as_millis() as f64))
}

/// The moment as the viewer's calendar and clock show it.
pub(crate) fn local(at: Timestamp) -> Civil {
    let date = date(at);
    Civil {
        year: i64::from(date.get_full_year()),
        month: date.get_month() + 1,
        day: date.get_date(),
        hour: date.get_hours(),
        minute: date.get_minutes(),
        second: date.get_seconds(),
    }
}

/// The last millisecond of that day where the viewer is. Daylight saving and zones are the browser's business.
pub(crate) fn end_of_local_day(day: &Civil) -> Option<Timestamp> {
    let date = js_sys::Date::new_with_year_month_day_hr_min_sec_milli(
        u32::try_from(day.year).ok()?,
        i32::try_from(day.month).ok()? - 1,
        i32::try_from(day.day).ok()?,
        23,
        59,
        59,
        999,
    );
    Some(millis(date.get_time()))
}

/// The name of the viewer's time zone, `Europe/Berlin` for instance.
pub(crate) fn zone() -> Option<String> {
    let formatter = js_sys::Intl::DateTimeFormat::new(&js_sys::Array::new(), &js_sys::Object::new());
    js_sys::Reflect::get(&formatter.resolved_options(), &"timeZone".into()).ok()?.as_string()
}

/// The name and value of every field of a form that a submission would send.
pub(crate) fn form_pairs(form: &HtmlFormElement) -> Vec<(String, String)> {
    let Ok(data) = web_sys::FormData::new_with_form(form) else { return Vec::new() };
    let entries = data.entries();
    let pairs = entries.into_iter().filter_map(|entry| {
        let entry = js_sys::Array::from(&entry.ok()?);
        Some((entry.get(0).as_string()?, entry.get(1).as_string()?))
    });
    pairs.collect()
}

/// A form's fields as `application/x-www-form-urlencoded` text.
pub(crate) fn encoded(data: &web_sys::FormData) -> String {
    let pairs = web_sys::UrlSearchParams::new_with_str_sequence_sequence(data);
    pairs.map(|pairs| String::from(pairs.to_string())).unwrap_or_default()
}

/// Posts the fields of a form to a server function and hands over its answer, JSON text.
pub(crate) async fn post_form(path: &str, body: &str) -> Result<String, Fault> {
    let (status, text) = exchange(path, body).await.map_err(|_| Fault::unreachable())?;
    if status < 400 { Ok(text) } else { Err(Fault::read(&text)) }
}

async fn exchange(path: &str, body: &str) -> Result<(u16, String), JsValue> {
    let headers = web_sys::Headers::new()?;
    headers.set("accept", "application/json")?;
    headers.set("content-type", "application/x-www-form-urlencoded")?;
    let request = web_sys::RequestInit::new();
    request.set_method("POST");
    request.set_headers(&headers);
    request.set_body(&JsValue::from_str(body));
    let answer = JsFuture::from(window().fetch_with_str_and_init(path, &request)).await?.unchecked_into::<web_sys::Response>();
    let text = JsFuture::from(answer.text()?).await?;
    Ok((answer.status(), text.as_string().unwrap_or_default()))
}

/// The form in which an event happened.
pub(crate) fn form_of(event: &web_sys::Event) -> Option<HtmlFormElement> {
    event.current_target()?.dyn_into().ok()
}

/// Puts the keyboard on the element with that id. True if it is there.
pub(crate) fn focus(id: &str) -> bool {
    let found = document().get_element_by_id(id).and_then(|element| element.dyn_into::<HtmlElement>().ok());
    found.is_some_and(|element| element.focus().is_ok())
}

/// Puts the keyboard on the first element that a selector finds. True if there is one.
pub(crate) fn focus_first(selector: &str) -> bool {
    let found = document().query_selector(selector).ok().flatten().and_then(|element| element.dyn_into::<HtmlElement>().ok());
    found.is_some_and(|element| element.focus().is_ok())
}

/// What is typed in the field with that id; empty if there is none.
pub(crate) fn value_of(id: &str) -> String {
    let field = document().get_element_by_id(id).and_then(|field| field.dyn_into::<web_sys::HtmlInputElement>().ok());
    field.map(|field| field.value()).unwrap_or_default()
}

/// The element that has the keyboard, unless it is the page itself.
pub(crate) fn focused() -> Option<HtmlElement> {
    let element = document().active_element()?.dyn_into::<HtmlElement>().ok()?;
    (element.tag_name() != "BODY").then_some(element)
}

/// Takes the keyboard from what has it, for what comes next to take.
pub(crate) fn let_go() {
    if let Some(element) = focused() {
        let _ = element.blur();
    }
}

/// Opens a dialog over the page. It may stand in the page as a panel (`open`) because it came that way from the server. The
/// keyboard goes to what the dialog names, or else to its first field; the browser alone would choose the cross.
pub(crate) fn show_modal(dialog: &HtmlDialogElement) {
    let _ = dialog.remove_attribute("open");
    let _ = dialog.show_modal();
    let find = |selector| dialog.query_selector(selector).ok().flatten().and_then(|found| found.dyn_into::<HtmlElement>().ok());
    if let (None, Some(field)) = (find("[autofocus]"), find(".dialog-body :is(input:not([type=hidden]), select, textarea)")) {
        let _ = field.focus();
    }
}

/// Acts once the element is part of the document: at once, or before the next picture is drawn. Views that come out of a
/// suspense run their effects before they are inserted.
pub(crate) fn when_inserted(element: HtmlElement, act: impl FnOnce() + 'static) {
    if element.is_connected() {
        return act();
    }
    queue_microtask(move || {
        if element.is_connected() {
            act();
        } else {
            request_animation_frame(act);
        }
    });
}

/// Selects the text of an element, so that the viewer sees what a copy would take.
pub(crate) fn select(element: &web_sys::Element) -> bool {
    let selection = window().get_selection().ok().flatten();
    selection.is_some_and(|selection| selection.select_all_children(element).is_ok())
}

/// Copies a text that is on the screen in `visible`. True only if it is certain that the clipboard holds it.
pub(crate) async fn copy(text: &str, visible: &web_sys::Element) -> bool {
    let clipboard = js_sys::Reflect::get(&window().navigator(), &"clipboard".into()).ok();
    // Absent on plain HTTP; the bindings would throw.
    if let Some(clipboard) = clipboard.filter(|found| !found.is_undefined()).map(JsCast::unchecked_into::<web_sys::Clipboard>)
        && JsFuture::from(clipboard.write_text(text)).await.is_ok()
    {
        return true;
    }
    let page: web_sys::HtmlDocument = document().unchecked_into();
    select(visible) && page.exec_command("copy").unwrap_or(false)
}

/// Offers a text as a file to save. The browser keeps no copy once the link is gone.
pub(crate) fn download(name: &str, text: &str) -> Result<(), JsValue> {
    let parts = js_sys::Array::of1(&JsValue::from_str(text));
    let blob = web_sys::Blob::new_with_str_sequence(&parts)?;
    let address = web_sys::Url::create_object_url_with_blob(&blob)?;
    let link: web_sys::HtmlAnchorElement = document().create_element("a")?.unchecked_into();
    link.set_href(&address);
    link.set_download(name);
    link.click();
    web_sys::Url::revoke_object_url(&address)
}

/// Sets the theme of the page at once; the cookie follows by a server function.
pub(crate) fn set_theme(attribute: Option<&str>) {
    set_root("data-theme", attribute);
}

/// Sets an attribute of the document's root, or takes it away.
pub(crate) fn set_root(attribute: &str, value: Option<&str>) {
    if let Some(root) = document().document_element() {
        let _ = match value {
            Some(value) => root.set_attribute(attribute, value),
            None => root.remove_attribute(attribute),
        };
    }
}

/// A listener on the window that hears an event before everybody else, until it is dropped.
pub(crate) struct WindowListener {
    event: &'static str,
    closure: Closure<dyn FnMut(web_sys::Event)>,
}

impl WindowListener {
    pub(crate) fn new(event: &'static str, act: impl FnMut(web_sys::Event) + 'static) -> Self {
        let closure = Closure::<dyn FnMut(web_sys::Event)>::new(act);
        let _ = window().add_event_listener_with_callback_and_bool(event, closure.as_ref().unchecked_ref(), true);
        Self { event, closure }
    }
}

impl Drop for WindowListener {
    fn drop(&mut self) {
        let _ = window().remove_event_listener_with_callback_and_bool(self.event, self.closure.as_ref().unchecked_ref(), true);
    }
}

/// Puts one more entry for the present address on the history, so that Back has somewhere harmless to go.
pub(crate) fn hold_history() {
    if let (Ok(history), Ok(here)) = (window().history(), window().location().href()) {
        let _ = history.push_state_with_url(&JsValue::NULL, "", Some(&here));
    }
}

/// Warns before the page with an unsaved secret is left.
pub(crate) fn warn_before_unload(event: &web_sys::Event) {
    event.prevent_default();
    if let Some(event) = event.dyn_ref::<web_sys::BeforeUnloadEvent>() {
        event.set_return_value("unsaved");
    }
}

/// The path of the present address.
pub(crate) fn path() -> String {
    window().location().pathname().unwrap_or_default()
}

/// Leaves for an address, as a link does where there is no script.
pub(crate) fn load(address: &str) {
    let _ = window().location().assign(address);
}

/// Marks the document as alive: see `.needs-script` in the style sheet.
pub(crate) fn mark_alive() {
    if let Some(root) = document().document_element() {
        let _ = root.set_attribute("data-script", "");
    }
}
