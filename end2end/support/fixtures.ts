/** What every test can ask for. */
import { type BrowserContext, type BrowserContextOptions, type Page, test as base, expect } from '@playwright/test';

import { Guard } from './guard';
import { Server, type ServerOptions } from './server';

export { expect };
export { ADMIN } from './server';

/** A workspace that one test has to itself. */
export interface Place {
  slug: string;
  name: string;
  /** The address of its list of keys. */
  keys: string;
}

interface TestFixtures {
  /** What the browser may complain about; see `Guard.expect`. */
  guard: Guard;
  /** A workspace of `server`, empty. */
  place: Place;
  /** A page whose reader is signed in on `server` as its administrator. */
  admin: Page;
  /** A page in a context of its own: without script, with another theme, as another person … */
  open(options?: BrowserContextOptions): Promise<Page>;
  /** A page in a context of its own, whose reader is signed in on `server`. */
  openAdmin(options?: BrowserContextOptions): Promise<Page>;
  /** A server of the test's own, not set up yet. */
  startServer(options?: ServerOptions): Promise<Server>;
}

interface WorkerFixtures {
  /** A server that is set up, shared by the tests of one worker. */
  shared: { server: Server; cookie: string };
  server: Server;
}

/** Gives a context the session of a cookie `name=value`. */
export async function signInWith(context: BrowserContext, server: Server, cookie: string): Promise<void> {
  const [name = '', value = ''] = cookie.split('=');
  const secure = name.startsWith('__Host-');
  const domain = new URL(server.url).hostname;
  await context.addCookies([{ name, value, domain, path: '/', httpOnly: true, secure, sameSite: 'Lax' }]);
}

let made = 0;

/** Every server of this worker whose log is looked at when a test ends. */
const running: Server[] = [];

export const test = base.extend<TestFixtures, WorkerFixtures>({
  shared: [
    async ({}, use) => {
      const server = await Server.start();
      running.push(server);
      await use({ server, cookie: await server.setUp({ slug: 'acme', name: 'Acme Research' }) });
      await server.dispose();
    },
    { scope: 'worker' },
  ],

  server: [async ({ shared }, use) => use(shared.server), { scope: 'worker' }],

  guard: [
    async ({}, use) => {
      const guard = new Guard();
      await use(guard);
      expect.soft(guard.complaints(), 'the browser complained of nothing').toEqual([]);
      expect.soft(running.flatMap((server) => server.complaints()), 'the servers logged no fault and no secret').toEqual([]);
    },
    { auto: true },
  ],

  // After the servers, so that it is before them that the browser stops asking.
  context: async ({ context, guard, startServer: _ }, use) => {
    guard.watch(context);
    await use(context);
    await context.close();
  },

  place: async ({ server }, use) => {
    made += 1;
    const [slug, name] = [`place-${process.pid}-${made}`, 'Vision Lab'];
    await server.cli(['workspace', 'create', '--slug', slug, '--name', name, '--owner', 'ada']);
    await use({ slug, name, keys: `${server.url}/w/${slug}/keys` });
  },

  admin: async ({ context, page, shared }, use) => {
    await signInWith(context, shared.server, shared.cookie);
    await use(page);
  },

  open: async ({ browser, guard, startServer: _ }, use) => {
    const contexts: BrowserContext[] = [];
    await use(async (options) => {
      const context = await browser.newContext(options);
      contexts.push(context);
      guard.watch(context, { script: options?.javaScriptEnabled !== false });
      return context.newPage();
    });
    for (const context of contexts) await context.close();
  },

  openAdmin: async ({ open, shared }, use) => {
    await use(async (options) => {
      const page = await open(options);
      await signInWith(page.context(), shared.server, shared.cookie);
      return page;
    });
  },

  // After the guard, so that it is before it that the servers end and have said all they had to say.
  startServer: async ({ guard: _ }, use) => {
    const servers: Server[] = [];
    await use(async (options) => {
      const server = await Server.start(options);
      servers.push(server);
      running.push(server);
      return server;
    });
    for (const server of servers) await server.dispose();
  },
});
