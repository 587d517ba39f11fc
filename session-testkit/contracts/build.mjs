// Compiles the contracts of this folder and writes one artefact for each.
//
//   node build.mjs           writes artefacts/*.json
//   node build.mjs --check   compares with what is there, and fails where anything differs
//
// Each contract is compiled by itself, so that what is made of it depends on nothing but the files
// it names, and twice: as it is, and with its revert strings stripped, as the deployed ones are.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import solc from 'solc';

const names = [
  'SessionEscrowV1',
  'SessionEscrowV1p',
  'SessionEscrowV2',
  'TestNames',
  'TestToken',
  'TestVerifications',
];
// What a chain takes of one contract (EIP-170).
const runtimeBytesMax = 24_576;
const folder = new URL('artefacts/', import.meta.url);
const source = (file) => readFileSync(new URL(file, import.meta.url), 'utf8');

const settings = {
  evmVersion: 'cancun',
  metadata: { appendCBOR: false, bytecodeHash: 'none' },
  optimizer: { enabled: true, runs: 1 },
  viaIR: true,
};

function compile(name, revertStrings) {
  const file = `${name}.sol`;
  const input = {
    language: 'Solidity',
    sources: { [file]: { content: source(file) } },
    settings: {
      ...settings,
      debug: { revertStrings },
      outputSelection: {
        '*': {
          '*': [
            'abi',
            'evm.bytecode.object',
            'evm.deployedBytecode.object',
            'evm.methodIdentifiers',
            'storageLayout',
          ],
        },
      },
    },
  };
  // An import is written relative to its own file, and all files lie side by side.
  const read = (path) => ({ contents: source(path) });
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read }));
  // A warning is a failure too.
  for (const message of output.errors ?? []) {
    throw new Error(message.formattedMessage);
  }
  return { contract: output.contracts[file][name], files: Object.keys(output.sources).sort() };
}

// What a topic is the hash of, with `indexed` where a log has the argument among its topics.
const parameter = ({ type, indexed }) => (indexed ? `${type} indexed` : type);
const event = ({ name, inputs }) => `${name}(${inputs.map(parameter).join(',')})`;

function code(name, { evm }) {
  const { bytecode, deployedBytecode } = evm;
  const runtimeBytes = deployedBytecode.object.length / 2;
  if (runtimeBytes > runtimeBytesMax) {
    throw new Error(`${name}: ${runtimeBytes} bytes of code, and ${runtimeBytesMax} are the most`);
  }
  // The code that stays is the end of the code that makes it.
  if (!bytecode.object.endsWith(deployedBytecode.object)) {
    throw new Error(`${name}: the deployed code is no part of the creating code`);
  }
  return { runtimeBytes, creation: bytecode.object };
}

function artefact(name) {
  const { contract, files } = compile(name, 'default');
  const stripped = compile(name, 'strip').contract;
  const { abi, evm, storageLayout } = contract;
  return {
    name,
    compiler: solc.version(),
    settings,
    sources: Object.fromEntries(
      files.map((file) => [file, createHash('sha256').update(source(file)).digest('hex')]),
    ),
    constructor: abi.find(({ type }) => type === 'constructor')?.inputs.map(parameter) ?? [],
    events: abi.filter(({ type }) => type === 'event').map(event).sort(),
    functions: evm.methodIdentifiers,
    storage: Object.fromEntries(
      storageLayout.storage.map(({ label, slot }) => [label, Number(slot)]),
    ),
    normal: code(name, contract),
    stripped: code(name, stripped),
  };
}

const check = process.argv.includes('--check');
const wanted = names.map((name) => `${name}.json`);
mkdirSync(folder, { recursive: true });
let different = 0;
for (const file of readdirSync(folder).filter((found) => !wanted.includes(found))) {
  if (check) {
    console.error(`artefacts/${file}: of no contract`);
    different += 1;
  } else {
    rmSync(new URL(file, folder));
  }
}
for (const name of names) {
  const path = new URL(`${name}.json`, folder);
  const made = artefact(name);
  const text = `${JSON.stringify(made, null, 1)}\n`;
  const { normal, stripped } = made;
  console.log(`${name}: ${normal.runtimeBytes} bytes of code, ${stripped.runtimeBytes} stripped`);
  if (!check) {
    writeFileSync(path, text);
    continue;
  }
  let found = '';
  try {
    found = readFileSync(path, 'utf8');
  } catch {
    // Not there, which differs.
  }
  if (found !== text) {
    console.error(`artefacts/${name}.json: not what its sources compile to`);
    different += 1;
  }
}
if (different > 0) {
  console.error('run `node build.mjs`, and look at what changed');
  process.exit(1);
}
