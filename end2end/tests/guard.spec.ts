/** The guard over the browser's console notices what it is there for. */
import http from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import { expect, test } from '../support/fixtures';
import { Guard } from '../support/guard';

/** A site that does everything wrong under a strict policy. */
async function badSite(): Promise<{ url: string; close(): void }> {
  const site = http.createServer((request, answer) => {
    if (request.url === '/missing') return void answer.writeHead(404).end();
    if (request.url === '/broken') return void answer.destroy();
    const policy = "default-src 'none'; script-src 'nonce-good'; connect-src 'self'; img-src 'self'";
    answer.writeHead(200, { 'content-type': 'text/html', 'content-security-policy': policy });
    answer.end(`<!DOCTYPE html><title>Bad</title><body style="color: red"><script>alert(1)</script><img src="/missing" alt="">
      <script nonce="good">console.warn('a warning'); console.log('no complaint'); fetch('/broken').catch(() => { throw new Error('a mistake'); });</script>`);
  });
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
  return { url: `http://127.0.0.1:${(site.address() as AddressInfo).port}/`, close: () => site.close() };
}

test('console errors and warnings, uncaught errors, broken requests and violations of the policy are noticed', async ({ browser }) => {
  const [site, guard, context] = [await badSite(), new Guard(), await browser.newContext()];
  guard.watch(context);
  const page = await context.newPage();
  const thrown = page.waitForEvent('pageerror');
  await page.goto(site.url);
  await thrown;
  const told = guard.complaints().join('\n');
  for (const expected of [/console warning: a warning/, /uncaught: Error: a mistake|uncaught: .*a mistake/, /request failed: GET .*\/broken/, /status of 404/, /inline script.*Content Security Policy|Content Security Policy.*inline script/i, /inline style.*Content Security Policy|Content Security Policy.*inline style/i]) {
    expect(told).toMatch(expected);
  }
  expect(told).not.toContain('no complaint');
  await context.close();
  site.close();
});

test('a complaint that a test expects is none, and one that does not come is', async ({ browser }) => {
  const [guard, context] = [new Guard(), await browser.newContext()];
  guard.watch(context);
  const page = await context.newPage();
  const heard = page.waitForEvent('console');
  await page.evaluate(() => console.error('as expected'));
  await heard;
  guard.expect(/as expected/);
  expect(guard.complaints()).toEqual([]);
  guard.expect(/never said/);
  expect(guard.complaints().join()).toContain('expected, but not heard');
  await context.close();
});
