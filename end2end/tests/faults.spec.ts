/** What goes wrong around a console: days that are no days, clocks, others who are faster, slow lines, large text. */
import { Frame, visit } from '../pages/frame';
import { KeyPage } from '../pages/key';
import { KeysPage, NewKeyDialog, SecretDialog } from '../pages/keys';
import { expect, test } from '../support/fixtures';

const DAY = 86_400_000;

test('each end on offer is the end that the key gets', async ({ admin, place, server }) => {
  test.setTimeout(60_000);
  for (const days of ['7', '30', '90', '180', '365', 'never']) {
    await test.step(days, async () => {
      await visit(admin, `${place.keys}/new`);
      const form = new NewKeyDialog(admin);
      await form.fill({ name: `Lives ${days}`, scopes: ['inference'] });
      await form.expires.selectOption(days);
      const asked = Date.now();
      await form.generate.click();
      await new SecretDialog(admin).finish();
      const ends = (await server.keys(place.slug)).find(({ name }) => name === `Lives ${days}`)?.expires_at ?? null;
      if (days === 'never') {
        expect(ends).toBeNull();
      } else {
        const lives = Date.parse(ends ?? '') - asked;
        expect(Math.abs(lives - Number(days) * DAY), `${lives / DAY} days`).toBeLessThan(60_000);
      }
    });
  }
});

test('a day of 23 or 25 hours ends when it ends', async ({ openAdmin, place, server }) => {
  test.setTimeout(60_000);
  for (const [timezoneId, day, ends] of [
    ['Europe/Berlin', '2031-03-30', '2031-03-30T21:59:59.999Z'],
    ['Europe/Berlin', '2031-10-26', '2031-10-26T22:59:59.999Z'],
    // There the clocks change at midnight, so the day before is the one that counts.
    ['America/Santiago', '2031-09-06', '2031-09-07T03:59:59.999Z'],
    ['UTC', '2032-02-29', '2032-02-29T23:59:59.999Z'],
  ] as const) {
    await test.step(`${timezoneId} ${day}`, async () => {
      const page = await openAdmin({ timezoneId });
      await visit(page, `${place.keys}/new`);
      const form = new NewKeyDialog(page);
      await form.fill({ name: `${timezoneId} ${day}`, scopes: ['inference'] });
      await form.expires.selectOption('date');
      await form.lastDay.fill(day);
      await form.generate.click();
      await new SecretDialog(page).finish();
      expect((await server.keys(place.slug)).find(({ name }) => name === `${timezoneId} ${day}`)?.expires_at).toBe(ends);
      await page.close();
    });
  }
});

test('a form that is open past midnight still means the day that it shows', async ({ openAdmin, place, server }) => {
  const page = await openAdmin({ timezoneId: 'UTC' });
  const midnight = (Math.floor(Date.now() / DAY) + 1) * DAY;
  await page.clock.install({ time: midnight - 60_000 });
  await visit(page, `${place.keys}/new`);
  const form = new NewKeyDialog(page);
  await form.fill({ name: 'Late worker', scopes: ['inference'] });
  await form.expires.selectOption('date');
  const day = new Date(midnight + 3 * DAY).toISOString().slice(0, 10);
  await form.lastDay.fill(day);
  await expect(form.promise).toContainText('23:59');
  const promised = await form.promise.innerText();
  await page.clock.fastForward('03:00');
  expect(await form.promise.innerText()).toBe(promised);
  await form.generate.click();
  await new SecretDialog(page).finish();
  expect((await server.keys(place.slug))[0]?.expires_at).toBe(`${day}T23:59:59.999Z`);
});

test('a page of a key that was deleted meanwhile says so at the next act', async ({ admin, place, server, guard }) => {
  guard.expect(/status of 409/);
  await server.createKey(place.slug, 'Shared');
  const id = await server.keyId(place.slug, 'Shared');
  await visit(admin, `${place.keys}/${id}`);
  const key = new KeyPage(admin);
  await key.change('name and note').click();
  const dialog = admin.getByRole('dialog');
  await dialog.getByLabel('Name').fill('Shared no more');
  await server.cli(['key', 'delete', '--workspace', place.slug, id]);
  await dialog.getByRole('button', { name: /^Save/ }).click();
  await expect(dialog.getByRole('alert')).toContainText(/no longer|gone|deleted/i);
  await expect(dialog.getByLabel('Name')).toHaveValue('Shared no more');
  await visit(admin, `${place.keys}/${id}`);
  await expect(key.status).toHaveText('Deleted');
});

test('a form that is sent before the WASM has arrived does its work', async ({ openAdmin, place, server }) => {
  const page = await openAdmin();
  let arrive = (): void => {};
  const late = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  await page.context().route('**/*.wasm', async (route) => {
    await late;
    await route.continue().catch(() => undefined);
  });
  await page.goto(`${place.keys}/new`, { waitUntil: 'domcontentloaded' });
  const form = new NewKeyDialog(page);
  await form.fill({ name: 'In a hurry', scopes: ['inference'] });
  await expect(page.locator('html')).not.toHaveAttribute('data-script');
  await form.generate.click();
  await expect(page.getByRole('heading', { name: 'Copy your new key' })).toBeVisible();
  expect((await server.keys(place.slug)).map(({ name }) => name)).toEqual(['In a hurry']);
  arrive();
});

test('a page that wakes late keeps what was typed and ticked before', async ({ openAdmin, place }) => {
  const page = await openAdmin();
  await page.context().route('**/*.wasm', async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await route.continue().catch(() => undefined);
  });
  await page.goto(`${place.keys}/new`, { waitUntil: 'domcontentloaded' });
  const form = new NewKeyDialog(page);
  await form.fill({ name: 'Early bird', kind: 'Publishable', scopes: ['inference'] });
  await form.expires.selectOption('30');
  await page.locator('html[data-script]').waitFor();
  await expect(form.dialog).toBeVisible();
  await expect(form.name).toHaveValue('Early bird');
  await expect(form.kind('Publishable')).toBeChecked();
  await expect(form.scope('inference')).toBeChecked();
  await expect(form.expires).toHaveValue('30');
});

test('what takes longer than a moment shows that it is under way, and what was there stays until then', async ({ admin, place, server }) => {
  await server.createKey(place.slug, 'Nightly report');
  await visit(admin, place.keys);
  const [keys, root] = [new KeysPage(admin), admin.locator('html')];
  await admin.evaluate(() => {
    // When the last press was, and how long after it the sign came.
    const signs: number[] = [];
    let pressed = 0;
    Object.assign(window, { signs });
    addEventListener('click', () => (pressed = performance.now()), true);
    new MutationObserver(() => {
      if (document.documentElement.dataset['waiting'] !== undefined) signs.push(performance.now() - pressed);
    }).observe(document.documentElement, { attributeFilter: ['data-waiting'] });
  });
  let answer = (): void => {};
  const slow = new Promise<void>((resolve) => {
    answer = resolve;
  });
  await admin.route('**/_app/list_keys', async (route) => {
    await slow;
    await route.continue();
  });
  await keys.state('Deleted').click();
  await expect(root).toHaveAttribute('data-waiting', '');
  await expect(keys.row('Nightly report'), 'the old list').toBeVisible();
  answer();
  await expect(admin.getByRole('heading', { name: 'No key matches' })).toBeVisible();
  await expect(root).not.toHaveAttribute('data-waiting');
  const [sign = 0] = await admin.evaluate(() => (window as unknown as { signs: number[] }).signs);
  expect(sign, 'no sign of what takes no time').toBeGreaterThanOrEqual(145);
});

// By the real clock: the browser's timers cannot be set forward without being replaced, and what is waited for is theirs.
test('a message stays for more than six seconds, waits while it is read, and goes', async ({ admin, place, server }) => {
  test.setTimeout(90_000);
  await server.createKey(place.slug, 'Nightly report');
  await visit(admin, place.keys);
  await new KeysPage(admin).trash('Nightly report').click();
  await admin.getByRole('dialog').getByRole('button', { name: 'Delete key' }).click();
  const { toast } = new Frame(admin);
  const card = toast.locator('.toast');
  await expect(card).toContainText('Nightly report');
  await expect(toast).toHaveRole('status');
  await admin.waitForTimeout(6_050);
  await expect(card, 'nobody has read it yet').toBeVisible();
  await card.hover();
  await admin.waitForTimeout(9_000);
  await expect(card, 'the mouse is on it').toBeVisible();
  await card.getByRole('button', { name: 'Dismiss' }).focus();
  await admin.mouse.move(5, 5);
  await admin.waitForTimeout(9_000);
  await expect(card, 'the keyboard is on it').toBeVisible();
  await new KeysPage(admin).heading.focus();
  await expect(card).toHaveCount(0, { timeout: 15_000 });
});

test('with text twice as large nothing is cut off or scrolls sideways', async ({ admin, place, server }) => {
  test.setTimeout(60_000);
  await server.createKey(place.slug, 'Nightly report');
  const id = await server.keyId(place.slug, 'Nightly report');
  // As somebody does who sets larger text in the browser: what is measured in it grows, the window does not.
  const browser = await admin.context().newCDPSession(admin);
  await browser.send('Page.setFontSizes', { fontSizes: { standard: 32, fixed: 26 } });
  const pages = [place.keys, `${place.keys}/new`, `${place.keys}/filter`, `${place.keys}/${id}`, `${server.url}/account`, `${server.url}/account/find`];
  for (const width of [1280, 768]) {
    await admin.setViewportSize({ width, height: 900 });
    for (const address of pages) {
      await visit(admin, address);
      const odd = await admin.evaluate(() => {
        const boxes = [document.documentElement, ...document.querySelectorAll('dialog[open], .dialog-body')];
        const wide = boxes.filter((box) => box.scrollWidth > box.clientWidth + 1).map((box) => `${box.tagName}.${box.className} scrolls sideways`);
        // A button whose word does not fit shows half of it.
        const buttons = [...document.querySelectorAll<HTMLElement>('button, .button, label')].filter((found) => found.checkVisibility());
        const cut = buttons.filter((found) => !found.matches('.visually-hidden') && found.scrollWidth > found.clientWidth + 2 && getComputedStyle(found).overflowX !== 'visible');
        const size = getComputedStyle(document.documentElement).fontSize;
        return [...(size === '32px' ? [] : [`text is ${size}`]), ...wide, ...cut.map((found) => `${found.outerHTML.slice(0, 80)} is cut off`)];
      });
      expect(odd, `${address} at ${width} px`).toEqual([]);
    }
  }
});

test('in forced colours every page keeps its borders, its focus and its words', async ({ admin, place, server }) => {
  await server.createKey(place.slug, 'Nightly report');
  await admin.emulateMedia({ forcedColors: 'active' });
  for (const address of [place.keys, `${place.keys}/filter`, `${server.url}/account/keyboard`]) {
    await visit(admin, address);
    const faint = await admin.evaluate(() => {
      const controls = [...document.querySelectorAll<HTMLElement>('button, .button, input:not([type=hidden]), select')].filter((found) => found.checkVisibility());
      return controls.filter((found) => {
        const style = getComputedStyle(found);
        const inked = style.color !== style.backgroundColor;
        return !inked || style.visibility === 'hidden';
      }).length;
    });
    expect(faint, address).toBe(0);
    await admin.keyboard.press('Tab');
    const outline = await admin.locator(':focus').evaluate((focused) => getComputedStyle(focused).outlineStyle);
    expect(outline, 'the focus shows as an outline, for shadows are gone').not.toBe('none');
  }
});
