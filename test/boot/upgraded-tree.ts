import path from 'node:path';
import { type RootTree, writeProof } from './root-tree.ts';
import { CHECKOUT } from './scratch.ts';
import { tool } from './tool.ts';

/** apt resolves, downloads and verifies in directories of its own, and dpkg does the rest in the tree. */
const UPGRADE = `
cd "$1"
mirror=$("$2")
mkdir -p state/lists/partial cache/archives/partial packages
printf 'Types: deb\\nURIs: %s-security\\nSuites: %s-security\\nComponents: main\\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\\n' \
  "$mirror" "$4" >security.sources
apt="-o Dir::State=$1/state -o Dir::State::status=$3/var/lib/dpkg/status -o Dir::Cache=$1/cache -o Dir::Etc::sourcelist=$1/security.sources
  -o Dir::Etc::sourceparts=/dev/null -o APT::Sandbox::User=root -o Acquire::Check-Valid-Until=false -qq"
tree=$3
shift 4
apt-get $apt update || { sleep 5; apt-get $apt update; }
(cd packages && apt-get $apt download "$@")
before=$(dpkg-query --admindir="$tree/var/lib/dpkg" --show --showformat='\${Package} \${Version}\n' "$@")
DEBIAN_FRONTEND=noninteractive dpkg --root="$tree" --install packages/*.deb >&2
after=$(dpkg-query --admindir="$tree/var/lib/dpkg" --show --showformat='\${Package} \${Version}\n' "$@")
[ "$before" != "$after" ] || { echo "there is no newer version of $*" >&2; exit 1; }
printf '%s, then %s\n' "$before" "$after" | tr '\n' ' '
`;

/**
 * Makes of a Debian tree one in which some packages are those of the security archive of its suite: what an upgrade makes of a real machine.
 *
 * @param old stays as it is
 * @param directory of the new one: does not exist yet
 * @returns the new one, and which versions there were before and are now
 */
export async function upgradedTree(
  old: RootTree,
  directory: string,
  suite: string,
  packages: readonly string[],
): Promise<{ readonly tree: RootTree; readonly versions: string }> {
  await tool(['cp', '--archive', '--reflink=auto', old.directory, directory]);
  const scratch = `${directory}.apt`;
  await tool(['mkdir', scratch]);
  const script = ['bash', '-euc', UPGRADE, 'bash', scratch, path.join(CHECKOUT, 'scripts/mirror')];
  const versions = await tool([...script, directory, suite, ...packages]);
  return { tree: { directory, sha256: writeProof(directory) }, versions: versions.trim() };
}
