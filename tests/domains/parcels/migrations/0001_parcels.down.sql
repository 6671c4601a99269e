drop table parcels.parcels;
