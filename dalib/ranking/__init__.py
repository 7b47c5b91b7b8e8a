"""Which pretrained model suits a target: `candidates` names and embeds them, `rank` scores and compares them."""
