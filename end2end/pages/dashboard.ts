/** System dashboard → API keys, and the pages of an act on many keys. */
import type { Locator, Page } from '@playwright/test';

export class DashboardPage {
  readonly table: Locator;
  readonly user: Locator;
  readonly search: Locator;
  readonly show: Locator;
  readonly add: Locator;
  readonly deactivate: Locator;
  readonly delete: Locator;

  constructor(readonly page: Page) {
    this.table = page.getByRole('table', { name: 'API keys of all users' });
    this.user = page.getByRole('combobox', { name: 'User' });
    this.search = page.getByRole('searchbox', { name: 'Search' });
    this.show = page.getByRole('button', { name: 'Show', exact: true });
    this.add = page.getByRole('link', { name: 'New API key' });
    this.deactivate = page.locator('.bulk-bar').getByRole('button', { name: 'Deactivate' });
    this.delete = page.locator('.bulk-bar').getByRole('button', { name: 'Delete' });
  }

  row(name: string): Locator {
    return this.table.getByRole('row').filter({ has: this.page.getByRole('rowheader').filter({ hasText: name }) });
  }

  cell(name: string, label: string): Locator {
    return this.row(name).locator(`td[data-label="${label}"]`);
  }

  tick(name: string): Locator {
    return this.row(name).getByRole('checkbox');
  }

  async act(name: string, act: string): Promise<void> {
    await this.row(name).getByText('Actions', { exact: true }).click();
    await this.row(name).getByRole('link', { name: act }).click();
  }
}

/** Before an act on many keys, and after it. */
export class BulkPage {
  readonly heading: Locator;
  readonly confirmation: Locator;
  readonly names: Locator;
  readonly results: Locator;
  readonly back: Locator;

  constructor(readonly page: Page) {
    this.heading = page.getByRole('heading', { level: 1 });
    this.confirmation = page.getByRole('textbox', { name: 'Number of keys' });
    this.names = page.locator('.bulk-names li');
    this.results = page.getByRole('table', { name: 'What became of each key' });
    this.back = page.getByRole('link', { name: 'Back to the list' });
  }

  button(name: 'Deactivate' | 'Delete'): Locator {
    return this.page.getByRole('button', { name, exact: true });
  }
}
