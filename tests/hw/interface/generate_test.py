#!/usr/bin/env python3
"""Tests of hw/interface/generate.py: generated files are fresh, and a description that contradicts
itself is refused with one sentence that names the fault.

usage: generate_test.py REPOSITORY
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 else ".").resolve()
GENERATOR = ROOT / "hw/interface/generate.py"
SOURCE = ROOT / "hw/interface/saline.toml"


def run(root, *arguments):
    return subprocess.run([sys.executable, GENERATOR, "--root", root, *arguments],
                          capture_output=True, text=True, check=False)


class Generate(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp())
        (self.root / "hw/interface").mkdir(parents=True)
        self.toml = self.root / "hw/interface/saline.toml"
        self.toml.write_text(SOURCE.read_text(encoding="utf-8"), encoding="utf-8")

    def tearDown(self):
        shutil.rmtree(self.root)

    def edit(self, before, after):
        text = self.toml.read_text(encoding="utf-8")
        self.assertIn(before, text)
        self.toml.write_text(text.replace(before, after, 1), encoding="utf-8")

    def refused(self, *words):
        result = run(self.root)
        self.assertEqual(result.returncode, 1, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)
        self.assertNotIn("Traceback", result.stderr)
        self.assertFalse((self.root / "docs/registers.md").exists(), "nothing is written")

    def generated(self):
        self.assertEqual(run(self.root).returncode, 0)
        return {path.name: path.read_text(encoding="utf-8")
                for path in (self.root / "hw/interface/saline_pkg.sv",
                             self.root / "hw/interface/saline_hw.hpp",
                             self.root / "docs/registers.md")}

    def fingerprint(self):
        line = next(line for line in self.generated()["saline_pkg.sv"].splitlines()
                    if "Fingerprint =" in line)
        return line.split("'h")[1]

    def test_files_of_the_repository_are_fresh(self):
        result = run(ROOT, "--check")
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_check_names_each_stale_file(self):
        self.generated()
        self.assertEqual(run(self.root, "--check").returncode, 0)
        (self.root / "docs/registers.md").write_text("edited by hand")
        result = run(self.root, "--check")
        self.assertEqual(result.returncode, 1)
        self.assertIn("docs/registers.md is stale", result.stderr)
        self.assertNotIn("saline_hw.hpp", result.stderr)

    def test_two_registers_at_one_offset_are_refused(self):
        self.edit('["scratch",          0x008', '["scratch",          0x004')
        self.refused("register scratch", "overlaps fingerprint", "0x004")

    def test_an_offset_inside_a_word_is_refused(self):
        self.edit('["scratch",          0x008', '["scratch",          0x00A')
        self.refused("register scratch", "0xa")

    def test_an_unknown_access_is_refused(self):
        self.edit('["scratch",          0x008, "rw"', '["scratch",          0x008, "rx"')
        self.refused("register scratch", "'rx'")

    def test_a_record_of_wrong_size_is_refused(self):
        self.edit('["salt",           32,', '["salt",           31,')
        self.refused("record sa_context", "2047 bits, not 2048")

    def test_a_record_that_is_not_its_constant_is_refused(self):
        self.edit("sa_context_bytes   = [256", "sa_context_bytes   = [255")
        self.refused("record sa_context", "sa_context_bytes is 255")

    def test_a_name_twice_is_refused(self):
        self.edit('["salt",           32,', '["spi",           32,')
        self.refused("record sa_context", "'spi' appears twice")
        self.edit('["malformed",    1,', '["none",    1,')
        self.refused("enum drop_reason", "'none' appears twice")

    def test_a_value_twice_or_too_large_is_refused(self):
        self.edit('["malformed",    1,', '["malformed",    0,')
        self.refused("enum drop_reason", "value 0 appears twice")
        self.edit('["malformed",    0,', '["malformed",    256,')
        self.refused("malformed = 256 does not fit in 8 bits")

    def test_a_keyword_is_refused(self):
        self.edit('["salt",           32,', '["sequence",       32,')
        self.refused("'sequence' is a keyword")

    def test_a_field_not_as_wide_as_its_enumeration_is_refused(self):
        self.edit('2,   "enum df_mode"]', '2,   "enum suite"]')
        self.refused("df_mode has not the width of 'enum suite'")

    def test_text_that_is_not_toml_is_refused(self):
        self.edit("[interface]", "[interface")
        self.refused("saline.toml", "line")

    def test_fingerprint_follows_what_hardware_sees_and_not_the_prose(self):
        first = self.fingerprint()
        self.edit("no effect; for bus tests", "for bus tests")
        self.assertEqual(self.fingerprint(), first)
        self.edit('0x008, "rw", 0x00000000', '0x008, "rw", 0x00000001')
        second = self.fingerprint()
        self.assertNotEqual(second, first)
        self.edit('["tunnel",         1,   "1', '["tunnelled",      1,   "1')
        self.assertNotEqual(self.fingerprint(), second)


if __name__ == "__main__":
    unittest.main()
