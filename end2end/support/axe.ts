/** Accessibility by machine: axe-core in the page itself. */
import { readFileSync } from 'node:fs';

import { type Page, expect, test } from '@playwright/test';
import type axe from 'axe-core';
import { settle } from './settle';

const SOURCE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** Fails with one line for each element that breaks a rule of WCAG 2.2 AA, or good practice. */
export async function expectAccessible(page: Page, what: string): Promise<void> {
  await test.step(`axe: ${what}`, async () => {
    if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(SOURCE);
    // Colours are judged as they are, and not as they become: on the way from one to the other nobody reads.
    await settle(page);
    const found = await page.evaluate(async (tags) => {
      const { axe } = window as unknown as { axe: { run(context: Document, options: axe.RunOptions): Promise<axe.AxeResults> } };
      const results = await axe.run(document, {
        runOnly: { type: 'tag', values: tags },
        // On by WCAG 2.2, off by default in axe.
        rules: { 'target-size': { enabled: true } },
        resultTypes: ['violations'],
      });
      const lines = results.violations.flatMap(({ id, nodes }) =>
        nodes.map((node) => `${id}: ${node.target.join(' ')}: ${node.failureSummary?.replace(/\s+/g, ' ')}`),
      );
      // A label finds the first element of an id alone, and axe leaves it at that.
      const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
      const twice = new Set(ids.filter((id, at) => ids.indexOf(id) !== at));
      lines.push(...[...twice].map((id) => `two elements are called ${id}`));
      return { lines, rules: results.passes.length };
    }, TAGS);
    expect(found.rules, 'axe has looked at something').toBeGreaterThan(5);
    expect(found.lines, what).toEqual([]);
  });
}
