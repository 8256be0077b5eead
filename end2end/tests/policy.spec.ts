/** Rules for keys: reviewed before they are saved, with the keys they concern; with script and without. */
import { alive, visit } from '../pages/frame';
import { PolicyPage } from '../pages/governance';
import { expectAccessible } from '../support/axe';
import { expect, signInWith, test } from '../support/fixtures';
import { examine } from '../support/looks';
import { ADMIN } from '../support/server';

for (const script of [true, false]) {
  test(`lowering the longest life lists the keys, asks, and brings them down ${script ? 'with' : 'without'} script`, async ({ openAdmin, server, place, guard }) => {
    // The rules that are refused below.
    guard.expect(/status of 400/);
    const page = await openAdmin({ javaScriptEnabled: script });
    await server.createKey(place.slug, 'For ever', '--expires-in', 'never');
    await server.createKey(place.slug, 'Half a year', '--expires-in', '180 days');
    await server.createKey(place.slug, 'Short', '--expires-in', '5 days');
    const settings = `${server.url}/w/${place.slug}/settings`;
    const policy = new PolicyPage(page);
    await page.goto(settings);
    if (script) await alive(page);

    await policy.longest.fill('40000');
    await policy.review.click();
    await expect(page.locator('#max_expiry_days-error')).toHaveText(/Choose 1 to 36500 days/);
    await expect(policy.longest).toHaveValue('40000');

    await policy.longest.fill('30');
    await policy.usual.fill('7');
    await policy.review.click();
    await expect(policy.title).toHaveText('Review the new rules');
    await expect(policy.changes).toContainText('Longest life');
    await expect(policy.concerned.locator('tbody tr')).toHaveCount(2);
    await expect(policy.concerned.locator('tbody tr').first()).toContainText('For ever');
    if (script) await expectAccessible(page, 'the review');

    // Undecided, the browser itself asks; nothing is sent.
    await policy.save.click();
    await expect(policy.title).toHaveText('Review the new rules');
    await policy.shorten.check();
    await policy.save.click();
    await expect(policy.notice).toHaveText('The rules hold from now on. 2 keys were brought down to them.');
    await expect(policy.longest).toHaveValue('30');

    const ends = await server.keys(place.slug);
    const cap = Date.now() + 30 * 86_400_000;
    for (const key of ends) expect(Date.parse(key.expires_at ?? '9999-01-01'), key.name).toBeLessThanOrEqual(cap);
  });
}

test('keys that may keep their end are shown until somebody brings them down', async ({ admin: page, server, place }) => {
  await server.createKey(place.slug, 'For ever', '--expires-in', 'never');
  const policy = new PolicyPage(page);
  await visit(page, `${server.url}/w/${place.slug}/settings`);
  await policy.longest.fill('30');
  await policy.usual.fill('');
  await policy.review.click();
  await policy.keep.check();
  await policy.save.click();
  await expect(page.getByText('One key lives longer than the rules allow')).toBeVisible();
  await expectAccessible(page, 'settings with a key beyond the rules');
  await page.getByRole('button', { name: 'Bring them down now' }).click();
  await expect(page.getByText('lives longer than')).toHaveCount(0);
  await expect(policy.notice).toHaveText('The rules hold from now on. One key was brought down to them.');
});

test('whoever comes second is told, and loses nothing but the race', async ({ openAdmin, server, place, guard }) => {
  guard.expect(/status of 409/);
  const [one, other] = [await openAdmin(), await openAdmin()];
  const settings = `${server.url}/w/${place.slug}/settings`;
  const [first, second] = [new PolicyPage(one), new PolicyPage(other)];
  await visit(one, settings);
  await visit(other, settings);
  await second.longest.fill('60');
  await second.usual.fill('30');
  await second.review.click();
  await expect(second.title).toHaveText('Review the new rules');
  await first.longest.fill('90');
  await first.review.click();
  await first.save.click();
  await expect(first.notice).toContainText('The rules hold from now on.');
  await second.save.click();
  await expect(second.notice).toContainText('Somebody changed these rules meanwhile. Nothing was saved.');
  await other.getByRole('link', { name: 'Load the present rules' }).click();
  await expect(second.longest).toHaveValue('90');
});

test('the instance bounds its workspaces, and says so beside their rules', async ({ open, startServer }) => {
  const server = await startServer();
  const cookie = await server.setUp({ slug: 'acme', name: 'Acme' });
  const page = await open();
  await signInWith(page.context(), server, cookie);
  const policy = new PolicyPage(page);
  await visit(page, `${server.url}/system/policy`);
  await expect(policy.title).toHaveText('Policy');
  await expectAccessible(page, 'the policy of the instance');
  await policy.longest.fill('45');
  await policy.review.click();
  await policy.save.click();
  await expect(policy.notice).toContainText('The rules hold from now on.');
  await visit(page, `${server.url}/w/acme/settings`);
  await expect(page.getByText('The instance allows at most 45 days.')).toBeVisible();
  await visit(page, `${server.url}/w/acme/keys/new`);
  await expect(page.getByLabel('Expires', { exact: true }).locator('option', { hasText: '90 days' })).toHaveCount(0);
});

test('an owner lets servers go on answering in an outage, which the page then says aloud, and takes it back', async ({ openAdmin, server, place }) => {
  test.setTimeout(90_000);
  for (const script of [true, false]) {
    await test.step(script ? 'with script' : 'without script', async () => {
      const page = await openAdmin({ javaScriptEnabled: script });
      const settings = `${server.url}/w/${place.slug}/settings`;
      await page.goto(settings);
      const banner = page.locator('.notice', { hasText: 'keys that are revoked go on working there' });
      const ask = async (summary: string, button: string) => {
        await page.locator('summary', { hasText: summary }).click();
        const known = page.getByRole('checkbox', { name: /I know that revoked keys/ });
        if (await known.isVisible()) await known.check();
        if (script) await expectAccessible(page, summary);
        const password = page.getByLabel('Your password again');
        if (await password.isVisible()) await password.fill(ADMIN.password);
        await page.getByRole('button', { name: button }).click();
      };
      await expect(banner).toHaveCount(0);
      await ask('Let them go on answering', 'Go on answering in an outage');
      await expect(banner).toBeVisible();
      if (script) await examine(page, 'settings-outages');
      await ask('Let them say no again', 'Answer 503 in an outage');
      await expect(banner).toHaveCount(0);
    });
  }
});

test('settings, review and policy in both themes and at every width', async ({ admin: page, server, place }) => {
  test.setTimeout(60_000);
  await server.createKey(place.slug, 'Nightly report', '--expires-in', 'never');
  await server.createKey(place.slug, 'Data-set sync, Rotterdam', '--expires-in', '365 days');
  const policy = new PolicyPage(page);
  await visit(page, `${server.url}/w/${place.slug}/settings`);
  await examine(page, 'settings');
  await policy.longest.fill('30');
  await policy.usual.fill('');
  await policy.never.uncheck();
  await policy.review.click();
  await policy.shorten.check();
  await examine(page, 'settings-review');
  await policy.keep.check();
  await policy.save.click();
  await expect(policy.notice.first()).toBeVisible();
  await examine(page, 'settings-saved');
  await visit(page, `${server.url}/system/policy`);
  await examine(page, 'system-policy');
});
