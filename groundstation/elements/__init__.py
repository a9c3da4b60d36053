"""Where element sets come from: a folder that is watched, CelesTrak and Space-Track."""
