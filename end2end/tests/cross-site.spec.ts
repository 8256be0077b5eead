/** S18: pages of other origins, in a real browser, send everything to everywhere. Nothing changes. */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

import type { Page } from '@playwright/test';

import { expect, signInWith, test } from '../support/fixtures';
import { PEOPLE_REFUSED } from '../support/people-writes';
import type { Server } from '../support/server';
import { WORKSPACE_REFUSED } from '../support/workspace-writes';
import { type Target, type Write, uncovered, writes } from '../support/writes';

/** Serves an empty page, whose script is the test's. */
async function elsewhere(): Promise<{ port: number; close(): void }> {
  const site = http.createServer((_, answer) => {
    answer.writeHead(200, { 'content-type': 'text/html' });
    answer.end('<!DOCTYPE html><title>Elsewhere</title><body></body>');
  });
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
  return { port: (site.address() as AddressInfo).port, close: () => site.close() };
}

/** Sends one request in every form that a page can send it in; resolves when the browser is done with all of them. */
async function attack(page: Page, origin: string, write: Write): Promise<void> {
  await page.evaluate(
    async ({ origin, write }) => {
      const address = origin + write.path;
      const fields = write.form ?? Object.entries((write.json as Record<string, unknown>) ?? {}).map(([name, value]) => [name, String(value)] as [string, string]);
      const encoded = new URLSearchParams(fields).toString();
      const json = JSON.stringify(write.json ?? Object.fromEntries(fields));
      const multipart = new FormData();
      for (const [name, value] of fields) multipart.append(name, value);
      const sends: [RequestMode, Record<string, string>, BodyInit][] = [
        ['no-cors', { 'content-type': 'application/x-www-form-urlencoded' }, encoded],
        ['no-cors', { 'content-type': 'text/plain' }, json],
        ['no-cors', {}, multipart],
        ['cors', { 'content-type': 'application/json' }, json],
        ['cors', { 'content-type': 'application/x-www-form-urlencoded', accept: 'text/html' }, encoded],
      ];
      const sent = sends.map(([mode, headers, body]) => {
        const method = mode === 'no-cors' ? 'POST' : write.method;
        return fetch(address, { method, mode, headers, body, credentials: 'include' }).catch(() => undefined);
      });
      navigator.sendBeacon(address, new Blob([encoded], { type: 'application/x-www-form-urlencoded' }));
      const forms = ['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain'].map(async (enctype) => {
        const frame = document.createElement('iframe');
        frame.name = `frame-${Math.random()}`;
        const form = document.createElement('form');
        Object.assign(form, { method: 'post', action: address, target: frame.name, enctype });
        for (const [name, value] of enctype === 'text/plain' ? [[json.slice(0, -1) + ',"x":"', '"}']] : fields) {
          const input = document.createElement('input');
          Object.assign(input, { type: 'hidden', name, value });
          form.append(input);
        }
        document.body.append(frame, form);
        const loaded = new Promise((resolve) => frame.addEventListener('load', resolve, { once: true }));
        form.submit();
        await loaded;
        frame.remove();
        form.remove();
      });
      await Promise.all([...sent, ...forms]);
    },
    { origin, write },
  );
}

/** A form that takes the whole window along, as the most ordinary forgery does. */
async function attackWithWindow(page: Page, origin: string, { path, form = [] }: Write): Promise<number> {
  const here = page.url();
  const answered = page.waitForResponse((response) => response.url() === origin + path && response.request().method() === 'POST');
  // The page of the refusal does not have to come alive.
  const arrived = page.waitForURL(origin + path, { waitUntil: 'commit' });
  await page.evaluate(
    ({ address, form }) => {
      const element = document.createElement('form');
      Object.assign(element, { method: 'post', action: address });
      for (const [name, value] of form) {
        const input = document.createElement('input');
        Object.assign(input, { type: 'hidden', name, value });
        element.append(input);
      }
      document.body.append(element);
      element.submit();
    },
    { address: origin + path, form },
  );
  const status = (await answered).status();
  await arrived;
  await page.goto(here);
  return status;
}

interface State {
  keys: unknown;
  events: number;
  cookies: unknown;
}

async function state(page: Page, server: Server, slug: string): Promise<State> {
  const cookies = (await page.context().cookies(server.url)).map(({ name, value }) => `${name}=${value}`).toSorted();
  return { keys: await server.keys(slug, 'all'), events: await server.auditEvents(), cookies };
}

async function target(server: Server, slug: string): Promise<Target> {
  await server.createKey(slug, 'Victim');
  const [key] = await server.keys(slug);
  return { slug, id: key?.id ?? '', version: key?.version ?? 0 };
}

test('the list of writes under attack is complete', async ({ server }) => {
  expect(await uncovered(server)).toEqual([]);
});

const ATTACKERS = [
  { title: 'another site', host: 'elsewhere.test' },
  { title: 'another name of the same machine', host: 'localhost' },
  { title: 'another port of the same name, to which Lax cookies are sent', host: '127.0.0.1' },
];

for (const { title, host } of ATTACKERS) {
  test(`nothing that ${title} sends changes anything`, async ({ browser, startServer }) => {
    test.setTimeout(300_000);
    const [server, attacker] = [await startServer(), await elsewhere()];
    const cookie = await server.setUp({ slug: 'acme', name: 'Acme' });
    // Not guarded: the attacker's console is full of refusals.
    const context = await browser.newContext();
    await signInWith(context, server, cookie);
    const page = await context.newPage();
    const victim = await target(server, 'acme');
    await page.goto(`http://${host}:${attacker.port}/`);
    const before = await state(page, server, 'acme');
    for (const write of writes(victim)) await attack(page, server.url, write);
    for (const write of writes(victim).filter(({ form }) => form)) {
      const status = await attackWithWindow(page, server.url, write);
      expect(status, `${write.name} is refused`).toBe(403);
    }
    expect(await state(page, server, 'acme')).toEqual(before);
    await page.goto(`${server.url}/w/acme/keys`);
    await expect(page.getByRole('rowheader', { name: /Victim/ })).toBeVisible();
    await context.close();
    attacker.close();
  });
}

test('nothing that another site sends changes anything over plain HTTP, where browsers do not say where a request is from', async ({ browser, startServer }) => {
  test.setTimeout(300_000);
  const [server, attacker] = [await startServer({ plainHttp: true }), await elsewhere()];
  const cookie = await server.setUp({ slug: 'acme', name: 'Acme' });
  expect(cookie).toMatch(/^kf_session=/);
  const context = await browser.newContext();
  await signInWith(context, server, cookie);
  const page = await context.newPage();
  const victim = await target(server, 'acme');
  for (const host of ['elsewhere.test', new URL(server.url).hostname]) {
    await page.goto(`http://${host}:${attacker.port}/`);
    const before = await state(page, server, 'acme');
    for (const write of writes(victim)) await attack(page, server.url, write);
    for (const write of writes(victim).filter(({ form }) => form)) {
      expect(await attackWithWindow(page, server.url, write), `${write.name} is refused`).toBe(403);
    }
    expect(await state(page, server, 'acme')).toEqual(before);
  }
  await page.goto(`${server.url}/w/acme/keys`);
  await expect(page.getByRole('rowheader', { name: /Victim/ })).toBeVisible();
  await context.close();
  attacker.close();
});

test('the same requests from a page of our own do their work, so that their refusal means something', async ({ page, guard, startServer }) => {
  guard.expect(/status of 400/);
  guard.expect(/status of 403/);
  guard.expect(/status of 404/);
  guard.expect(/status of 409/);
  const server = await startServer();
  await signInWith(page.context(), server, await server.setUp({ slug: 'acme', name: 'Acme' }));
  const victim = await target(server, 'acme');
  // A page of ours whose script does not get in the way.
  await page.goto(`${server.url}/account`);
  const before = await server.auditEvents();
  const outcomes: Record<string, number> = {};
  for (const write of writes(victim)) {
    outcomes[write.name] = await page.evaluate(async ({ path, method, form, json }) => {
      const [type, body] = form ? ['application/x-www-form-urlencoded', new URLSearchParams(form).toString()] : ['application/json', JSON.stringify(json)];
      const answer = await fetch(path, { method, ...(body === undefined ? {} : { body, headers: { 'content-type': type } }) });
      return answer.status;
    }, write);
  }
  const odd = Object.entries(outcomes).filter(([, status]) => status >= 300);
  // There is no such secret, the key was deleted by the function before, and set-up is over.
  expect(odd).toEqual([
    ['end_secret', 404],
    ['DELETE /v1/workspaces/{workspace}/keys/{key}/secrets/{secret}', 404],
    ['DELETE /v1/workspaces/{workspace}/keys/{key}', 409],
    ...WORKSPACE_REFUSED,
    ...PEOPLE_REFUSED,
    ['get_setup', 404],
    ['complete_setup', 404],
  ]);
  expect(await server.auditEvents()).toBeGreaterThan(before + 8);
});
