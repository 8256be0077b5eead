/** The only appearance of a secret: it cannot be lost by accident, is never said to be copied when it is not, and is gone afterwards. */
import { readFile } from 'node:fs/promises';

import type { Page } from '@playwright/test';

import { Frame, visit } from '../pages/frame';
import { SetUpPage } from '../pages/gates';
import { KeysPage, NewKeyDialog, SecretDialog } from '../pages/keys';
import { expect, test } from '../support/fixtures';
import { whoami } from '../support/keyfold';

const STAYS = 'This stays open so that the secret is not lost: copy it, or tick the box, then choose Done.';

/** Makes a key and stops where its secret is on the screen. */
async function reveal(page: Page, keys: string, name = 'CI pipeline'): Promise<{ shown: SecretDialog; secret: string }> {
  await visit(page, keys);
  await new KeysPage(page).add.click();
  const form = new NewKeyDialog(page);
  await form.fill({ name, scopes: ['inference'] });
  await form.generate.click();
  const shown = new SecretDialog(page);
  return { shown, secret: await shown.read() };
}

/** What somebody gets who pastes somewhere else. */
async function pasted(page: Page): Promise<string> {
  const other = await page.context().newPage();
  await other.setContent('<textarea aria-label="Paste here"></textarea>');
  const field = other.getByLabel('Paste here');
  await field.focus();
  await other.keyboard.press('ControlOrMeta+V');
  const text = await field.inputValue();
  await other.close();
  return text;
}

/** Does something that the page wants to warn of, and returns the kind of the warning after staying. */
async function warned(page: Page, act: () => Promise<unknown>): Promise<string> {
  const asked = page.waitForEvent('dialog');
  const acting = act().catch(() => undefined);
  const dialog = await asked;
  await dialog.dismiss();
  await acting;
  return dialog.type();
}

test('the secret is in sight, complete, and the keyboard is on Copy', async ({ admin, place, server }) => {
  const { shown, secret } = await reveal(admin, place.keys);
  await expect(shown.secret).toBeInViewport();
  await expect(shown.copy).toBeFocused();
  expect(await whoami(server, secret)).toMatchObject({ status: 200, name: 'CI pipeline' });
});

test('Esc four times and a press beside the dialog leave it open, and it says why', async ({ admin, place }) => {
  const { shown, secret } = await reveal(admin, place.keys);
  for (let times = 0; times < 4; times += 1) {
    await admin.keyboard.press('Escape');
    await expect(shown.says).toHaveText(STAYS);
    await expect(shown.secret).toContainText(secret);
  }
  await admin.mouse.click(5, 5);
  await expect(shown.secret).toContainText(secret);
});

test('Back, a reload and closing the tab do not lose it without a warning', async ({ admin, place }) => {
  const { shown, secret } = await reveal(admin, place.keys);
  await admin.evaluate(() => history.back());
  await expect(shown.says).toHaveText(STAYS);
  await admin.evaluate(() => history.back());
  await expect(shown.secret).toContainText(secret);
  expect(await warned(admin, () => admin.evaluate(() => setTimeout(() => location.reload())))).toBe('beforeunload');
  await expect(shown.secret).toContainText(secret);
  expect(await warned(admin, () => admin.close({ runBeforeUnload: true }))).toBe('beforeunload');
  await expect(shown.secret).toContainText(secret);
});

test('once it is copied, leaving needs no warning', async ({ admin, place }) => {
  const { shown } = await reveal(admin, place.keys);
  await shown.copy.click();
  await expect(shown.copy).toHaveText('Copied');
  let asked = false;
  admin.on('dialog', (dialog) => {
    asked = true;
    void dialog.accept();
  });
  await admin.reload();
  await expect(new KeysPage(admin).row('CI pipeline')).toBeVisible();
  expect(asked).toBe(false);
  await expect(shown.dialog).toBeHidden();
});

test('Done waits until the secret is copied or said to be stored', async ({ admin, place }) => {
  const { shown } = await reveal(admin, place.keys);
  await expect(shown.done).toBeDisabled();
  await expect(shown.says).toHaveText('Copy it or tick the box to finish.');
  await shown.stored.check();
  await expect(shown.done).toBeEnabled();
  await shown.stored.uncheck();
  await expect(shown.done).toBeDisabled();
  await shown.copyCode.click();
  await shown.copy.click();
  await expect(shown.done).toBeEnabled();
  await shown.done.click();
  await expect(shown.dialog).toBeHidden();
  await expect(new KeysPage(admin).add).toBeFocused();
});

test('Copy puts exactly the secret on the clipboard', async ({ admin, place }) => {
  const { shown, secret } = await reveal(admin, place.keys);
  await shown.copy.click();
  await expect(shown.says).toHaveText('Copied.');
  expect(await pasted(admin)).toBe(secret);
});

test('a hidden secret can still be copied, and comes into sight for it', async ({ admin, place }) => {
  const { shown, secret } = await reveal(admin, place.keys);
  await shown.hide.click();
  await expect(shown.dialog).not.toContainText(secret);
  await expect(shown.secret).toHaveText(`kf_sec_…${secret.slice(-4)}`);
  await expect(shown.hide).toHaveText('Show');
  await shown.copy.click();
  await expect(shown.says).toHaveText('Copied.');
  expect(await pasted(admin)).toBe(secret);
});

test('each language of the first call is shown and copied as it is', async ({ admin, place, server }) => {
  const { shown, secret } = await reveal(admin, place.keys);
  for (const language of ['curl', 'Python', 'JavaScript']) {
    await shown.dialog.getByRole('button', { name: language, exact: true }).click();
    await expect(shown.firstCall).toContainText(`${server.url}/v1/whoami`);
    await shown.copyCode.click();
    await expect(shown.says).toHaveText('Copied.');
    const text = await pasted(admin);
    expect(text).toContain(secret);
    expect(text.trim()).toBe((await shown.firstCall.innerText()).trim());
  }
  await expect(shown.done, 'code with the secret in it is on the clipboard, but may not be where secrets are kept').toBeDisabled();
});

test('where the Clipboard API refuses, the visible secret is copied another way', async ({ admin, place }) => {
  await admin.addInitScript(() => {
    navigator.clipboard.writeText = () => Promise.reject(new DOMException('denied', 'NotAllowedError'));
  });
  const { shown, secret } = await reveal(admin, place.keys);
  await shown.copy.click();
  await expect(shown.says).toHaveText('Copied.');
  expect(await pasted(admin)).toBe(secret);
});

test('where nothing can copy, it never says Copied, and Ctrl+C does what it says', async ({ admin, place }) => {
  await admin.addInitScript(() => {
    navigator.clipboard.writeText = () => Promise.reject(new DOMException('denied', 'NotAllowedError'));
    document.execCommand = () => false;
  });
  const { shown, secret } = await reveal(admin, place.keys);
  await shown.copy.click();
  await expect(shown.says).toContainText('press Ctrl+C');
  await expect(shown.copy).toHaveText('Copy');
  await expect(shown.done).toBeDisabled();
  expect((await admin.evaluate(() => getSelection()?.toString() ?? '')).trim()).toBe(secret);
  await admin.keyboard.press('ControlOrMeta+C');
  expect((await pasted(admin)).trim()).toBe(secret);
});

test('on a plain HTTP origin the page warns, and Copy copies or says to press Ctrl+C', async ({ open, startServer }) => {
  const server = await startServer({ plainHttp: true });
  const page = await open();
  await visit(page, server.setUpLink);
  expect(await page.evaluate(() => [isSecureContext, 'clipboard' in navigator])).toEqual([false, false]);
  const setUp = new SetUpPage(page);
  await expect(page.getByText('This page came over plain HTTP')).toBeVisible();
  await setUp.fill('Vision Lab');
  await setUp.submit.click();
  await page.waitForURL('**/w/vision-lab/keys');
  const { shown, secret } = await reveal(page, `${server.url}/w/vision-lab/keys`);
  await expect(shown.firstCall).toContainText(`curl ${server.url}/v1/whoami`);
  await shown.copy.click();
  await expect(shown.says).toHaveText(/^Copied\.$|press Ctrl\+C/);
  if ((await shown.says.innerText()) !== 'Copied.') {
    await expect(shown.copy).toHaveText('Copy');
    await page.keyboard.press('ControlOrMeta+C');
  }
  expect((await pasted(page)).trim()).toBe(secret);
});

test('Download .env saves the secret in a line that shells and tools read', async ({ admin, place }) => {
  const { shown, secret } = await reveal(admin, place.keys);
  const waiting = admin.waitForEvent('download');
  await shown.download.click();
  const download = await waiting;
  expect(download.suggestedFilename()).toBe('keyfold.env');
  expect(await readFile(await download.path(), 'utf8')).toBe(`KEYFOLD_KEY=${secret}\n`);
  await expect(shown.done, 'whether the file arrived is not known').toBeDisabled();
});

test('a session that ends elsewhere does not take the secret off the screen', async ({ page, startServer }) => {
  const server = await startServer();
  await visit(page, server.setUpLink);
  const setUp = new SetUpPage(page);
  await setUp.fill('Vision Lab');
  await setUp.submit.click();
  await page.waitForURL('**/w/vision-lab/keys');
  const { shown, secret } = await reveal(page, `${server.url}/w/vision-lab/keys`);
  const other = await page.context().newPage();
  await visit(other, `${server.url}/account`);
  await other.locator('main').getByRole('button', { name: 'Sign out' }).click();
  await other.waitForURL('**/sign-in');
  await shown.copy.click();
  await expect(shown.says).toHaveText('Copied.');
  expect(await pasted(page)).toBe(secret);
  await shown.done.click();
  await expect(shown.dialog).toBeHidden();
});

test('after Done the secret is nowhere: not in the page, the history, the storage, nor behind Back and Forward', async ({ admin, place }) => {
  const { shown, secret } = await reveal(admin, place.keys);
  await shown.finish();
  const traces = async (): Promise<string[]> =>
    admin.evaluate(async (needle) => {
      const databases = await indexedDB.databases();
      const places: Record<string, string> = {
        page: document.documentElement.outerHTML,
        fields: [...document.querySelectorAll('input, textarea')].map((field) => (field as HTMLInputElement).value).join('\n'),
        selection: getSelection()?.toString() ?? '',
        address: location.href,
        history: JSON.stringify(history.state),
        local: JSON.stringify({ ...localStorage }),
        session: JSON.stringify({ ...sessionStorage }),
        cookies: document.cookie,
        title: document.title,
        requests: JSON.stringify(performance.getEntries()),
        globals: JSON.stringify(Object.entries(window).filter(([, value]) => typeof value === 'string')),
        databases: databases.length > 0 ? needle : '',
        caches: 'caches' in window && (await caches.keys()).length > 0 ? needle : '',
      };
      return Object.entries(places)
        .filter(([, text]) => text.includes(needle))
        .map(([name]) => name);
    }, secret);
  expect(await traces()).toEqual([]);
  await new Frame(admin).account.click();
  await new Frame(admin).accountMenu.getByRole('link', { name: 'Account' }).click();
  await admin.waitForURL('**/account');
  await admin.goBack();
  await expect(new KeysPage(admin).row('CI pipeline')).toBeVisible();
  expect(await traces()).toEqual([]);
  await admin.goto('about:blank');
  await admin.goBack();
  await expect(new KeysPage(admin).row('CI pipeline')).toBeVisible();
  expect(await traces()).toEqual([]);
  await expect(shown.dialog).toBeHidden();
  await admin.goBack();
  await admin.goForward();
  await expect(shown.dialog).toBeHidden();
  expect(await traces()).toEqual([]);
});

test('pressing Generate twice makes one key', async ({ admin, place, server }) => {
  await visit(admin, `${place.keys}/new`);
  const form = new NewKeyDialog(admin);
  await form.fill({ name: 'Once', scopes: ['inference'] });
  await form.generate.dblclick();
  await new SecretDialog(admin).finish();
  expect((await server.keys(place.slug)).map((key) => key.name)).toEqual(['Once']);
});
