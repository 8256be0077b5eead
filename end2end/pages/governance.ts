/** The pages about rules and records: settings of a workspace, policy of the instance, the audit log. */
import type { Locator, Page } from '@playwright/test';

export class PolicyPage {
  readonly title: Locator;
  readonly longest: Locator;
  readonly usual: Locator;
  readonly idle: Locator;
  readonly never: Locator;
  readonly perUser: Locator;
  readonly review: Locator;
  readonly save: Locator;
  readonly keep: Locator;
  readonly shorten: Locator;
  readonly changes: Locator;
  readonly concerned: Locator;
  readonly notice: Locator;

  constructor(readonly page: Page) {
    this.title = page.getByRole('heading', { level: 1 });
    this.longest = page.getByLabel('Longest life, in days');
    this.usual = page.getByLabel('Life if nothing is chosen, in days');
    this.idle = page.getByLabel('Stop after so many days without use');
    this.never = page.getByLabel('Keys may live for ever');
    this.perUser = page.getByLabel('Most keys of one person');
    this.review = page.getByRole('button', { name: 'Review changes' });
    this.save = page.getByRole('button', { name: 'Save rules' });
    this.keep = page.getByRole('radio', { name: /They keep their end/ });
    this.shorten = page.getByRole('radio', { name: /Bring them down now/ });
    this.changes = page.getByRole('table', { name: 'Rules that change' });
    this.concerned = page.getByRole('table', { name: /Keys that live longer/ });
    this.notice = page.locator('.notice');
  }
}

export class AuditPage {
  readonly events: Locator;
  readonly search: Locator;
  readonly what: Locator;
  readonly result: Locator;
  readonly show: Locator;
  readonly check: Locator;
  readonly download: Locator;
  readonly notice: Locator;

  constructor(readonly page: Page) {
    this.events = page.getByRole('table', { name: 'Events, the newest first' });
    this.search = page.getByRole('searchbox', { name: 'Search' });
    this.what = page.getByRole('combobox', { name: 'What' });
    this.result = page.getByRole('combobox', { name: 'Result' });
    this.show = page.getByRole('button', { name: 'Show', exact: true });
    this.check = page.getByRole('link', { name: 'Check the chain' });
    this.download = page.getByRole('link', { name: 'Download JSON lines' });
    this.notice = page.locator('.notice');
  }

  /** The rows of events, the heading row left out. */
  get rows(): Locator {
    return this.events.locator('> tbody > tr');
  }
}
