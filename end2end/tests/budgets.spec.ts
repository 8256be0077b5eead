/** What a page weighs, how it may be kept, what it may load, and that it stays where it is when it wakes. */
import zlib from 'node:zlib';

import { Frame, visit } from '../pages/frame';
import { KeysPage, NewKeyDialog } from '../pages/keys';
import { expect, test } from '../support/fixtures';
import { request } from '../support/http';

const KIB = 1024;
/** The most that the first page may take of each sort, as it goes over the wire with brotli. */
const BUDGETS = { wasm: 200 * KIB, js: 12 * KIB, css: 15 * KIB };

/** The files that a page names, each once. */
async function filesOf(address: string): Promise<{ wasm: string[]; js: string[]; css: string[] }> {
  const page = await request(address);
  const find = (kind: string): string[] => {
    const found = [...page.text.matchAll(new RegExp(`/pkg/[\\w.-]+\\.${kind}(?=["'])`, 'g'))].map(([name]) => name);
    if (found.length === 0) throw new Error(`the page names no ${kind} file: ${page.text.slice(0, 500)}`);
    return [...new Set(found)];
  };
  return { wasm: find('wasm'), js: find('js'), css: find('css') };
}

for (const kind of ['wasm', 'js', 'css'] as const) {
  test(`the ${kind} of the first page is within ${BUDGETS[kind] / KIB} KiB as served`, async ({ server }, info) => {
    let weight = 0;
    for (const path of (await filesOf(`${server.url}/sign-in`))[kind]) {
      const address = server.url + path;
      const reply = await request(address, { headers: { 'accept-encoding': 'br' } });
      expect(reply.status).toBe(200);
      expect(reply.headers['content-encoding']).toBe('br');
      weight += reply.raw.length;
      // It is the same file in each form.
      const [plain, gzip] = await Promise.all(['identity', 'gzip'].map((coding) => request(address, { headers: { 'accept-encoding': coding } })));
      expect(zlib.brotliDecompressSync(reply.raw).equals(plain?.raw ?? Buffer.alloc(0))).toBe(true);
      expect(zlib.gunzipSync(gzip?.raw ?? Buffer.alloc(0)).equals(plain?.raw ?? Buffer.alloc(0))).toBe(true);
    }
    info.annotations.push({ type: 'size', description: `${kind}: ${weight} bytes with brotli` });
    process.stdout.write(`    ${kind}: ${(weight / KIB).toFixed(1)} KiB with brotli\n`);
    expect(weight).toBeLessThanOrEqual(BUDGETS[kind]);
  });
}

test('the list of keys fetches no more than the first file of WebAssembly, and a dialog its own when it is opened', async ({ admin, place }) => {
  const fetched: string[] = [];
  admin.on('request', (asked) => {
    if (asked.url().endsWith('.wasm')) fetched.push(new URL(asked.url()).pathname.replace(/\.[0-9a-f]{16}\./, '.'));
  });
  await visit(admin, place.keys);
  expect(fetched).toEqual(['/pkg/keyfold.wasm']);
  await new KeysPage(admin).add.click();
  await expect(new NewKeyDialog(admin).name).toBeFocused();
  expect(fetched).toContain('/pkg/split_dialogs.wasm');
});

test('files with a hash in their name are kept for ever, and asked for again they are not sent again', async ({ server }) => {
  for (const path of Object.values(await filesOf(`${server.url}/sign-in`)).flat()) {
    const reply = await request(server.url + path, { headers: { 'accept-encoding': 'br' } });
    expect(reply.headers['cache-control']).toBe('public, max-age=31536000, immutable');
    expect(reply.headers['vary']).toContain('Accept-Encoding');
    expect(reply.headers['x-content-type-options']).toBe('nosniff');
    const again = await request(server.url + path, { headers: { 'accept-encoding': 'br', 'if-none-match': reply.headers.etag ?? '' } });
    expect([again.status, again.raw.length]).toEqual([304, 0]);
    expect((await request(`${server.url}${path.replace(/\.[0-9a-f]{16}\./, '.0000000000000000.')}`)).status).toBe(404);
  }
});

test('every page says what it may load: nothing inline without a nonce that is new each time', async ({ server, shared, place }) => {
  const nonces = new Set<string>();
  const addresses = [`${server.url}/sign-in`, `${server.url}/nothing/here`, place.keys, `${place.keys}/new`, `${server.url}/account`, `${server.url}/setup`];
  for (const address of addresses) {
    const page = await request(address, { headers: { cookie: shared.cookie } });
    const policy = String(page.headers['content-security-policy']);
    expect(policy, address).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("base-uri 'none'");
    expect(policy).toContain("form-action 'self'");
    expect(policy).not.toMatch(/unsafe-inline|'unsafe-eval'|\*|https?:/);
    const nonce = /'nonce-([^']+)'/.exec(policy)?.[1] ?? '';
    expect(Buffer.from(nonce, 'base64').length, `${address}: ${policy}`).toBeGreaterThanOrEqual(16);
    nonces.add(nonce);
    expect(page.headers['cache-control']).toContain('no-store');
    expect(page.headers['referrer-policy']).toBe('same-origin');
    // Every script of the page carries it, and no element has code or style in its attributes.
    const scripts = [...page.text.matchAll(/<script\b[^>]*>/g)].map(([tag]) => tag);
    expect(scripts.filter((tag) => !tag.includes(`nonce="${nonce}"`))).toEqual([]);
    expect(page.text).not.toMatch(/<[^>]+\s(?:style|on\w+)\s*=/);
  }
  expect(nonces.size).toBe(addresses.length);
});

test('no page loads anything from anywhere else', async ({ admin, place, server }) => {
  const origins = new Set<string>();
  admin.on('request', (request) => origins.add(new URL(request.url()).origin));
  await visit(admin, place.keys);
  await new KeysPage(admin).add.click();
  await expect(new NewKeyDialog(admin).name).toBeFocused();
  expect([...origins]).toEqual([server.url]);
});

for (const width of [1280, 390]) {
  test(`nothing moves when a page wakes or a dialog opens, at ${width} px`, async ({ admin, place, server }) => {
    await server.createKey(place.slug, 'Nightly report');
    await server.createKey(place.slug, 'Gateway', '--scope', 'verify', '--expires-in', 'never');
    await admin.setViewportSize({ width, height: 800 });
    await admin.addInitScript(() => {
      const shifts: string[] = [];
      Object.assign(window, { shifts });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as (PerformanceEntry & { value: number; sources: { node?: Element }[] })[]) {
          shifts.push(`${entry.value}: ${entry.sources.map(({ node }) => node?.outerHTML?.slice(0, 120) ?? 'unknown').join(' | ')}`);
        }
      }).observe({ type: 'layout-shift', buffered: true });
    });
    for (const address of [`${server.url}/account`, place.keys]) {
      await visit(admin, address);
      // Two frames later everything that waking changes has been drawn.
      await admin.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
      expect(await admin.evaluate(() => (window as unknown as { shifts: string[] }).shifts), address).toEqual([]);
    }
    await new KeysPage(admin).add.click();
    await expect(new NewKeyDialog(admin).name).toBeFocused();
    await admin.keyboard.press('Escape');
    await expect(new NewKeyDialog(admin).dialog).toBeHidden();
    expect(await admin.evaluate(() => (window as unknown as { shifts: string[] }).shifts)).toEqual([]);
  });
}

test('what the server sends is what the woken page shows', async ({ admin, open, place, server }) => {
  await server.createKey(place.slug, 'Nightly report');
  const plain = await open({ javaScriptEnabled: false, timezoneId: 'UTC' });
  await plain.context().addCookies(await admin.context().cookies());
  for (const address of [place.keys, `${place.keys}/new`, `${server.url}/account`]) {
    await plain.goto(address);
    await visit(admin, address);
    await expect(new Frame(admin).account).toBeVisible();
    const words = (text: string): string[] => text.split(/\s+/).filter(Boolean);
    // Texts, shown or not: under a dialog that is a page of its own the list is hidden, under a modal one it is not.
    const [before = [], after = []] = await Promise.all([plain, admin].map(async (page) => words((await page.locator('h1, th, label').allTextContents()).join(' '))));
    expect(after.filter((word) => !before.includes(word)), address).toEqual([]);
  }
});
