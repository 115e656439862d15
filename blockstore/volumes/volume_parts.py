"""What a store in volumes is made of, besides its SQLite file."""

from __future__ import annotations

from dataclasses import dataclass

from blockstore.volumes.open_volumes import OpenVolumes
from blockstore.volumes.placed_rows import PlacedRows
from blockstore.volumes.read_generations import ReadGenerations
from blockstore.volumes.volume_appender import VolumeAppender
from blockstore.volumes.volume_disk import VolumeDisk
from blockstore.volumes.volume_folders import VolumeFolders


@dataclass(frozen=True, slots=True)
class VolumeParts:
    """They share the open files, and know nothing of one another otherwise."""

    volumes: OpenVolumes
    appender: VolumeAppender
    generations: ReadGenerations
    rows: PlacedRows
    hole_bytes: int


def volume_parts(folders: VolumeFolders, disk: VolumeDisk, volume_bytes: int, hole_bytes: int) -> VolumeParts:
    """`volume_bytes`: from which on a volume is full; `hole_bytes`: from which on a hole is punched."""
    volumes = OpenVolumes(folders, disk)
    appender = VolumeAppender(volumes, volume_bytes)
    generations = ReadGenerations()
    return VolumeParts(volumes, appender, generations, PlacedRows(volumes, appender, generations), hole_bytes)
