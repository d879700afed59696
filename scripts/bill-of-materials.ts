/** What is in the executable, for programs: CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/). */
import { version } from '../src/version.ts';
import type { Component } from './components.ts';
import { spdxExpression } from './spdx-licence.ts';

/**
 * The text of a bill of materials.
 *
 * @param ownLicence what package.json names
 * @param time when that was released; undefined leaves it out
 */
export function billOfMaterials(
  parts: readonly Component[],
  ownLicence: string,
  time: Date | undefined,
): string {
  const self = `rdpull@${version}`;
  const bill = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      ...(time === undefined ? {} : { timestamp: time.toISOString() }),
      component: {
        type: 'application',
        'bom-ref': self,
        name: 'rdpull',
        version,
        licenses: licences(ownLicence),
      },
    },
    components: parts.map((part) => component(part)),
    dependencies: [{ ref: self, dependsOn: parts.map(reference) }, ...parts.map(dependency)],
  };
  return `${JSON.stringify(bill, null, 2)}\n`;
}

function reference({ name, version: of, packageUrl }: Component): string {
  return packageUrl ?? (of === undefined ? name : `${name}@${of}`);
}

function dependency(part: Component) {
  return { ref: reference(part), dependsOn: part.parts.map(reference) };
}

function component(part: Component): object {
  const { name, version: of, licence, packageUrl, website, digest, parts } = part;
  return {
    type: name === 'bun' ? 'platform' : 'library',
    'bom-ref': reference(part),
    name,
    ...(of === undefined ? {} : { version: of }),
    ...(digest === undefined ? {} : { hashes: [{ alg: digest.algorithm, content: digest.value }] }),
    licenses: licences(licence),
    ...(packageUrl === undefined ? {} : { purl: packageUrl }),
    ...(website === undefined ? {} : { externalReferences: [{ type: 'website', url: website }] }),
    ...(parts.length === 0 ? {} : { components: parts.map(component) }),
  };
}

function licences(licence: string) {
  const expression = spdxExpression(licence);
  if (expression === undefined) return [{ license: { name: licence } }];
  return expression.includes(' ') ? [{ expression }] : [{ license: { id: expression } }];
}
